"""What so many sessions need, on paper: each number made from figures that were measured here."""

import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.cli import table
from benchmarks.scale.wal import Row

BENCHMARKS = Path(__file__).parents[1]
SESSIONS = tuple(10**n for n in range(4, 10))
# The site that is supposed: another one multiplies.
HOURS = 12  # that a row is there, from the first visit until it is pruned
PAGES = 10  # of a session in that time
FULL = 0.6  # the share of a core that is used: the rest is for peaks, and keeps waits short
THREADS = 4  # of a process, each with a connection at most
CHECKPOINT = 1800  # seconds between two checkpoints
# One server of PostgreSQL at its largest: cores, memory that keeps rows, and log that it writes and
# sends to its standbys. What a machine is to be had with, and not measured.
CORES, MEMORY, LOG = 32, 256e9, 100e6


@dataclass(frozen=True)
class Figures:
    """What the other benchmarks have measured."""

    server: float
    """Microseconds of the site's CPU per page, with both cores busy."""
    database: float
    """The same, of PostgreSQL."""
    memory: float
    """MiB of one process."""
    pruned: float
    """Rows per second, by one pruner, beside visits."""


def cells(page: str, start: str) -> list[str]:
    """The row of a report whose first cell begins so."""
    text = (BENCHMARKS / page).read_text("utf-8")
    found = re.search(rf"(?m)^\| \**{re.escape(start)}.*$", text)
    if not found:
        raise ValueError(f"{page} has no row {start}")
    return [re.sub("<br>.*", "", cell).strip() for cell in found[0].strip("| ").split("|")]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def figures() -> Figures:
    speed = cells("speed/RESULTS-2-processes.md", "sessionsite on waitress (ours)")
    text = (BENCHMARKS.parent / "docs" / "operations.md").read_text("utf-8")
    (seconds,) = re.findall(r"million\s+rows go in (\d+) seconds", text)
    return Figures(
        server=number(speed[4]),
        database=number(speed[5]),
        memory=number(speed[7]) / 2,
        pruned=1e6 / float(seconds),
    )


@dataclass(frozen=True)
class Need:
    """What so many live sessions need."""

    sessions: int
    figures: Figures
    row: Row

    @property
    def pages(self) -> float:
        """Per second."""
        return self.sessions * PAGES / (HOURS * 3600)

    @property
    def ends(self) -> float:
        """Sessions per second that begin, and as many that are pruned."""
        return self.sessions / (HOURS * 3600)

    @property
    def bytes(self) -> float:
        return self.sessions * (self.row.table + self.row.indexes)

    @property
    def processes(self) -> int:
        """Of the site, each with a core of its own."""
        return ceil(self.pages * self.figures.server / 1e6 / FULL)

    @property
    def connections(self) -> int:
        return self.processes * THREADS

    @property
    def cores(self) -> float:
        """Of PostgreSQL's."""
        return self.pages * self.figures.database / 1e6 / FULL

    @property
    def log(self) -> float:
        """Bytes of write-ahead log per second."""
        return self.pages * self.row.log(self.sessions, self.pages * CHECKPOINT)

    @property
    def pruning(self) -> float:
        """The share of its time that one pruner is at work."""
        return self.ends / self.figures.pruned

    @property
    def servers(self) -> int:
        """Primaries of PostgreSQL: by their cores, their memory or their log, what comes first."""
        return ceil(max(self.cores / CORES, self.bytes / MEMORY, self.log / LOG))

    def line(self) -> list[str]:
        return [
            f"{self.sessions:,}",
            rounded(self.pages),
            rounded(self.bytes / 1e9),
            f"{self.processes:,}",
            f"{self.connections:,}",
            rounded(self.cores),
            rounded(self.log / 1e6),
            f"{self.pruning:.1%}",
            f"{self.servers:,}",
        ]


HEADER = [
    "sessions", "pages/s", "GB", "processes", "connections", "cores of PostgreSQL", "log MB/s",
    "one pruner's time", "primaries",
]  # fmt: skip


def rounded(value: float) -> str:
    """Two digits that count."""
    return f"{float(f'{value:.2g}'):,g}"


def needs(row: Row) -> str:
    found = figures()
    return table(HEADER, [Need(sessions, found, row).line() for sessions in SESSIONS])
