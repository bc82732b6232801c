"""Gets what each stack needs, by its registry's own client, into a place of its own.

What is there already, in the version asked for, pip and npm leave as it is.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.harness import Missing

PEERS = Path(__file__).parent
EXPRESS = PEERS / "express"


def run(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] = os.environ) -> None:
    """Run it; what it prints is shown if it fails."""
    done = subprocess.run(  # noqa: S603  # ours
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}:\n{done.stdout}{done.stderr}")


def program(name: str, package: str) -> str:
    """The path of the program `name`, which is in Debian's `package`."""
    if (found := shutil.which(name)) is None:
        raise Missing(name, f"apt install {package}")
    return found


@cache
def express() -> str:
    """The node that finds Express in `express/`."""
    npm = [program("npm", "npm"), "install", "--no-package-lock", "--no-audit", "--no-fund"]
    run(npm, cwd=EXPRESS)
    return program("node", "nodejs")


@cache
def python(name: str) -> str:
    """The Python of a virtualenv beside ours, with what `requirements-NAME.txt` lists."""
    home = Path(sys.prefix, "peers", name)
    found = home / "bin" / "python"
    if not found.exists():
        run([sys.executable, "-m", "venv", "--without-pip", home], cwd=PEERS)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(found)]
    run([*pip, "install", "-q", "-r", f"requirements-{name}.txt"], cwd=PEERS)
    return str(found)
