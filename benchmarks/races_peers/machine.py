"""What a table of measurements says of the machine, and how a program shows that it goes on."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from tests.servers.postgres import Postgres


def machine(postgres: Postgres, packages: Sequence[str]) -> str:
    """The machine, the versions and the date, as lines of Markdown."""
    with postgres.connect() as connection:
        found = connection.execute("SHOW server_version").fetchone()
    server = str(found[0]).split()[0] if found else "?"
    named = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{date.today().isoformat()}, {os.cpu_count()} cores ({_cpu()}), {_memory()} of memory, "
        f"{platform.system()} {platform.release()}.\n"
        f"Python {platform.python_version()}, PostgreSQL {server}, {named}.\n"
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.machine()
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2].strip() if names else platform.machine()


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown: text to the left, all other columns to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def progress(what: str) -> Callable[[int, int], None]:
    """A function that shows on stderr how far `what` is: one line, or on a terminal one that moves.

    Its line ends when all is done.
    """
    started = time.monotonic()
    terminal = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        seconds = time.monotonic() - started
        if done >= total:
            say(f"{chr(13) if terminal else ''}{what}: {total:,} in {seconds:.0f} s\n")
        elif terminal:
            say(f"\r{what}: {done:,} of {total:,}, {seconds:.0f} s ")

    return show


def output(command: Sequence[str | Path]) -> str:
    """What `command` prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    return done.stdout
