"""Gets the programs and the peers, each by its registry's own client, into places of their own.

A Python peer has a virtualenv under `.venv/`, Express its `node_modules`. What is installed
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

from benchmarks.interpreter import fastest
from tests.harness.install import APT_GET

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
EXPRESS = PEERS / "express"
VENVS = HERE / ".venv"
MINUTES = 10


class NotInstalled(Exception):
    """Says what could not be installed, and how that ended."""


def run(command: Sequence[str | Path], **options: object) -> str:
    """Run it and return what it printed. Raises NotInstalled with its last lines."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(  # type: ignore[call-overload]  # noqa: S603  # ours; of any options
            words,
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
        raise NotInstalled(f"{words[0]}: {error}") from error
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-3:])
        raise NotInstalled(f"{Path(words[0]).name} ended with {done.returncode}: {last}")
    return str(done.stdout)


def program(name: str, package: str) -> str:
    """The path of the program `name`; installed from Debian's `package` if we are root there."""
    if (found := shutil.which(name)) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run([*APT_GET, "update"], env=env)
        run([*APT_GET, "install", "-y", "--no-install-recommends", package], env=env)
        found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"no {name} on this machine: apt install {package}")
    return found


def ours() -> Path:
    """The Python that has the site, with the versions that are tested together."""
    return _virtualenv("ours", ["-c", ROOT / "constraints.txt", "-e", ROOT], ROOT / "setup.py")


def python_peer(name: str) -> Path:
    """The Python that has what `peers/requirements-NAME.txt` lists."""
    return _virtualenv(name, ["-r", PEERS / f"requirements-{name}.txt"])


def express() -> Path:
    """The node that finds Express in `peers/express`."""
    node, npm = program("node", "nodejs"), program("npm", "npm")
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev"]

    def install() -> None:
        run(command, cwd=EXPRESS)

    _once(EXPRESS / "node_modules", _fingerprint([EXPRESS / "package.json"], node), install)
    return Path(node)


def _virtualenv(name: str, arguments: Sequence[str | Path], *files: Path) -> Path:
    home = VENVS / name
    python = home / "bin" / "python"
    base, _ = fastest()

    def install() -> None:
        venv = ["-m", "venv", "--clear", "--without-pip", str(home)]
        pip = ["-m", "pip", "--disable-pip-version-check", "--python", str(python)]
        run([base, *venv])
        run([sys.executable, *pip, "install", "-q", *arguments])

    listed = [*files, *(path for path in arguments if isinstance(path, Path) and path.is_file())]
    _once(home, _fingerprint(listed, str(base), sys.version), install)
    return python


def _once(home: Path, fingerprint: str, install: Callable[[], None]) -> None:
    stamp = home / ".installed-for-the-benchmark"
    if stamp.exists() and stamp.read_text() == fingerprint:
        return
    stamp.unlink(missing_ok=True)
    install()
    stamp.write_text(fingerprint)


def _fingerprint(files: Sequence[Path], *words: str) -> str:
    content = [path.read_bytes() for path in files] + [word.encode() for word in words]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def python_versions(python: Path) -> dict[str, str]:
    """The packages that `python` has, with their versions."""
    code = (
        "import importlib.metadata as m, json, platform; "
        "print(json.dumps({'Python': platform.python_version()} "
        "| {d.metadata['Name']: d.version for d in m.distributions()}))"
    )
    return dict(json.loads(run([python, "-c", code])))


def node_versions(node: Path) -> dict[str, str]:
    """Node's version, and those of the packages that `peers/express` asks for."""
    wanted = json.loads((EXPRESS / "package.json").read_text())["dependencies"]
    versions = {"Node": run([node, "--version"]).strip().removeprefix("v")}
    for name in wanted:
        package = EXPRESS / "node_modules" / name / "package.json"
        versions[name] = json.loads(package.read_text())["version"]
    return versions
