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
    cpuinfo = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    release = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release"), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?",
        "system": release[1] if release else platform.platform(),
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def in_short(postgres: Postgres, packages: Sequence[str]) -> str:
    """The date, the machine and the versions, as two lines of Markdown."""
    found = facts()
    named = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{date.today().isoformat()}, {found['cores']} cores ({found['processor']}), "
        f"{found['memory']} of memory, {platform.system()} {found['kernel']}.\n"
        f"Python {platform.python_version()}, "
        f"PostgreSQL {postgres_version(postgres).split()[0]}, {named}.\n"
    )


def postgres_version(postgres: Postgres) -> str:
    with postgres.connect() as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"


def commit(root: Path) -> str:
    """The commit that is checked out, and whether files differ from it."""
    try:
        head = _git(root, "rev-parse", "--short", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--", "sessionsite", "production.ini")
    except (OSError, subprocess.CalledProcessError):
        return "?"
    return f"{head}, changed since" if changed.strip() else head


def wrk_version(wrk: str) -> str:
    """What wrk says of itself, which it ends with status 1."""
    said = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False)  # noqa: S603  # ours
    found = re.match(r"wrk (\S+)", said.stdout)
    return found[1] if found else "?"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    env = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout  # noqa: S603  # ours


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
