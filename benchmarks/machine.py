"""What the figures were measured on, and the PostgreSQL that they were measured with."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import ROOT
from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs

LOAD = os.getloadavg()[0]  # before anything is measured
PACKAGES = ("pyramid", "waitress", "SQLAlchemy", "psycopg")


@contextmanager
def postgres(directory: Path, **settings: str) -> Iterator[Postgres]:
    """A PostgreSQL of our own: the one of TEST_DATABASE_URL is not ours to look into."""
    if not (found := bindirs()):
        raise Missing("PostgreSQL", "apt install postgresql")
    with Postgres(directory, found[0]) as server:
        server.command += [f"--{name}={value}" for name, value in settings.items()]
        yield server.start()


def said(*command: str) -> str:
    """What a program prints; "?" if there is none."""
    try:
        return subprocess.check_output(command, text=True).strip()  # noqa: S603  # ours
    except (OSError, subprocess.CalledProcessError):
        return "?"


def description(server: Postgres) -> str:
    """The date, the commit, the machine and the versions, as two lines of Markdown."""
    with server.connect() as connection:
        (postgres,) = connection.execute("SHOW server_version").fetchone() or ("?",)
    node = said("node", "--version")
    return described(f"PostgreSQL {postgres.split()[0]}, Node {node}", PACKAGES)


def described(servers: str, packages: Sequence[str]) -> str:
    """The same; `servers`: what they are, and their versions."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    commit = said("git", "-C", str(ROOT), "describe", "--always", "--dirty=, changed since")
    versions = [f"{name} {version(name)}" for name in packages]
    return (
        f"{date.today().isoformat()}, commit {commit}, {os.cpu_count()} cores "
        f"({model[1] if model else platform.machine()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory, load {LOAD:.1f} at the start, "
        f"{platform.platform()}.\n"
        f"Python {platform.python_version()}, built {platform.python_build()[1]}, "
        f"{servers}, {', '.join(versions)}.\n"
    )
