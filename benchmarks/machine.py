"""What the figures were measured on."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from tests.harness.postgres import Postgres


def facts() -> dict[str, str]:
    """The machine, in words."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def in_short(packages: Sequence[str], postgres: Postgres | None = None) -> str:
    """The date, the machine and the versions, as two lines of Markdown."""
    found = facts()
    named = [f"Python {platform.python_version()}"]
    if postgres:
        named.append(f"PostgreSQL {postgres_version(postgres).split()[0]}")
    named += [f"{name} {version(name)}" for name in packages]
    return (
        f"{date.today().isoformat()}, {found['cores']} cores ({found['processor']}), "
        f"{found['memory']} of memory, {platform.system()} {found['kernel']}.\n"
        f"{', '.join(named)}.\n"
    )


def postgres_version(postgres: Postgres) -> str:
    with postgres.connect() as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"


def commit(root: Path) -> str:
    """The commit that is checked out, and whether files differ from it."""
    describe = ["describe", "--always", "--dirty=, changed since"]
    env = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.check_output(["git", "-C", root, *describe], text=True, env=env).strip()  # noqa: S603, S607  # ours
    except (OSError, subprocess.CalledProcessError):
        return "?"
