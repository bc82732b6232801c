"""Builds a release in dist/, tries it, and stops before anything is uploaded: `make release`."""
# ruff: noqa: T201

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import ROOT
from tests.release.building import ReleaseError, build, check, run, write_sbom
from tests.release.installed import Installed, try_development


def constant(root: Path, name: str) -> str:
    """Return what setup.py has for NAME = "..."."""
    (value,) = re.findall(rf'(?m)^{name} = "(.*)"$', (root / "setup.py").read_text("utf-8"))
    return str(value)


def not_ready(root: Path) -> list[str]:
    """Return, one line each, what has to be done before the project in `root` can be released."""
    todo = []
    version = constant(root, "VERSION")
    if not re.fullmatch(r"\d+(\.\d+)+((a|b|rc)\d+)?", version):
        todo.append(f"setup.py: VERSION = {version!r} is no version to release")
    if not constant(root, "PROJECT_URL"):
        todo.append("setup.py: PROJECT_URL is empty, so that the README's links lead nowhere")
    head = (root / "CHANGES.txt").read_text("utf-8").partition("\n")[0]
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", head):
        todo.append(f"CHANGES.txt: begins with {head!r}, not with '{version} (YYYY-MM-DD)'")
    if (root / ".git").exists():
        status = ["git", "status", "--porcelain"]
        if subprocess.run(status, cwd=root, capture_output=True, text=True, check=True).stdout:
            todo.append("git: what is not committed would be released")
    return todo


def main(root: Path = ROOT) -> int:
    """Return the exit status."""
    if todo := not_ready(root):
        print("Not ready to be released:", *todo, sep="\n  ")
        return 1
    dist = root / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    try:
        made = build(root, dist)
        check(made)
        with tempfile.TemporaryDirectory() as directory:
            installed = Installed(made.wheel, Path(directory))
            try_development(installed, Path(directory))
            write_sbom(installed, dist / f"sessionsite-{constant(root, 'VERSION')}.cdx.json")
    except ReleaseError as exc:
        print(exc)
        return 1
    print("Nothing was uploaded. In dist/, checked and tried:")
    print(run(["ls", "-l"], dist))
    return 0


if __name__ == "__main__":
    sys.exit(main())
