"""What the figures were measured on, and the PostgreSQL that they were measured with."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import ROOT
from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs

PACKAGES = ("pyramid", "waitress", "SQLAlchemy", "psycopg")


@contextmanager
def postgres(directory: Path, **settings: str) -> Iterator[Postgres]:
    """A PostgreSQL of our own: the one of TEST_DATABASE_URL is not ours to look into."""
    if not (found := bindirs()):
        raise Missing("PostgreSQL", "apt install postgresql")
    with Postgres(directory, found[0]) as server:
        server.command += [f"--{name}={value}" for name, value in settings.items()]
        yield server.start()


def description(server: Postgres) -> str:
    """The date, the commit, the machine and the versions, as two lines of Markdown."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=, changed since"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    with server.connect() as connection:
        (postgres,) = connection.execute("SHOW server_version").fetchone() or ("?",)
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    return (
        f"{date.today().isoformat()}, commit {done.stdout.strip() or '?'}, {os.cpu_count()} cores "
        f"({model[1] if model else platform.machine()}), "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory, {platform.platform()}.\n"
        f"Python {platform.python_version()}, built {platform.python_build()[1]}, "
        f"PostgreSQL {postgres.split()[0]}, {', '.join(packages)}.\n"
    )
