"""Gets the programs and the stacks, each by its registry's own client, into places of their own.

A Python stack has a virtualenv under `.venv/`, Express its `node_modules`. What is installed
already, from the same list, is left as it is.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness import Missing
from tests.harness.install import APT_GET

PEERS = Path(__file__).parent
ROOT = PEERS.parents[1]
PRODUCTION = ROOT / "production.ini"
EXPRESS = PEERS / "express"
VENVS = PEERS.parent / ".venv"
MINUTES = 10
VERSIONS = """
import importlib.metadata as m, json, platform
print(json.dumps({"Python": platform.python_version()}
                 | {d.metadata["Name"]: d.version for d in m.distributions()}))
"""


class NotInstalled(Exception):
    """Says what could not be installed, and how that ended."""


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run it and return what it printed. Raises NotInstalled with its last lines."""
    try:
        done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603  # ours; of any options
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=MINUTES * 60,
            check=False,
            **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{command[0]}: {error}") from error
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise NotInstalled(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
    return str(done.stdout)


def program(name: str, package: str) -> str:
    """The path of the program `name`; installed from Debian's `package` if we are root there."""
    if (found := shutil.which(name)) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run([*APT_GET, "update"], env=env)
        run([*APT_GET, "install", "-y", "--no-install-recommends", package], env=env)
        found = shutil.which(name)
    if found is None:
        raise Missing(name, f"apt install {package}")
    return found


def express() -> Path:
    """The node that finds Express in `express/`."""
    node, npm = program("node", "nodejs"), program("npm", "npm")
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev"]
    print_of = _fingerprint([EXPRESS / "package.json"], node)
    _once(EXPRESS / "node_modules", print_of, lambda: run(command, cwd=EXPRESS))
    return Path(node)


def python(name: str, base: Path) -> Path:
    """The Python of a virtualenv made by `base`, with what `requirements-NAME.txt` lists.

    Ours has the site itself, with the versions that are tested together.
    """
    listed = PEERS / f"requirements-{name}.txt"
    arguments: list[str | Path] = ["-r", listed]
    if name == "sessionsite":
        listed = ROOT / "constraints.txt"
        arguments = ["-c", listed, "-e", ROOT]
    home = VENVS / name
    found = home / "bin" / "python"

    def install() -> None:
        pip: list[str | Path] = ["-m", "pip", "--disable-pip-version-check", "--python", found]
        run([base, "-m", "venv", "--clear", "--without-pip", home])
        run([sys.executable, *pip, "install", "-q", *arguments])

    _once(home, _fingerprint([listed, ROOT / "setup.py"], str(base), sys.version), install)
    return found


def _once(home: Path, fingerprint: str, install: Callable[[], object]) -> None:
    stamp = home / ".installed-for-the-benchmark"
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    stamp.unlink(missing_ok=True)
    install()
    stamp.write_text(fingerprint)


def _fingerprint(files: Sequence[Path], *words: str) -> str:
    content = [path.read_bytes() for path in files] + [word.encode() for word in words]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def python_versions(interpreter: Path) -> dict[str, str]:
    """The packages that this Python has, with their versions."""
    return dict(json.loads(run([interpreter, "-I", "-c", VERSIONS])))


def node_versions(node: Path) -> dict[str, str]:
    """Node's version, and those of the packages that `express/` asks for."""
    wanted = json.loads((EXPRESS / "package.json").read_text())["dependencies"]
    versions = {"Node": run([node, "--version"]).strip().removeprefix("v")}
    for name in wanted:
        package = EXPRESS / "node_modules" / name / "package.json"
        versions[name] = json.loads(package.read_text())["version"]
    return versions
