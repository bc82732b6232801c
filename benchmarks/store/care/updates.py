"""Tables that differ in one setting, under the same saves."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from benchmarks import ours
from benchmarks.cli import say, table
from benchmarks.speed.load import cpu_seconds
from benchmarks.store.rows import ANOTHER, SIZES, WAL, filled, latencies, numbers, script
from tests.harness.postgres import Postgres

SIZE = 700  # bytes of payload
CLIENTS = 4
LATER = ":expires_at::timestamptz + interval '1 second'"
# A visitor who opens a page every 24 seconds, with a `session.reissue_time` of 120.
SOMETIMES_LATER = f"CASE WHEN :m % 5 = 0 THEN {LATER} ELSE :expires_at::timestamptz END"
COUNTS = f"""
SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count
FROM pg_stat_user_tables WHERE relname = '{ours.TABLE}'
"""  # noqa: S608  # ours
AUTOVACUUM = {
    "as PostgreSQL has it: at 20 % of the rows": "",
    "at 5 %": "autovacuum_vacuum_scale_factor = 0.05",
    "at 1 %": "autovacuum_vacuum_scale_factor = 0.01",
    "at 1 %, without a pause": (
        "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0"
    ),
    "never": "autovacuum_enabled = false",
}
FILLFACTORS = (100, 90, 80, 70, 50)
COMMON = ["WAL bytes per save", "table MB", "after", "indexes MB", "after", "CPU", "p50", "p99"]


@dataclass
class Variant:
    """One table, in a database of its own, and what was measured of it, turn by turn."""

    name: str
    url: str
    file: Path
    before: tuple[int, ...]
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of all of PostgreSQL, seconds per save."""
    wal: list[float] = field(default_factory=list)
    """Bytes per save."""

    def turn(self, postgres: Postgres, *end: str) -> None:
        """Run the saves until the options of pgbench say so."""
        cpu, wal = cpu_seconds([postgres.pid]), numbers(self.url, WAL)[0]
        microseconds = latencies(self.url, self.file, CLIENTS, *end)
        self.cpu.append((cpu_seconds([postgres.pid]) - cpu) / len(microseconds))
        self.wal.append((numbers(self.url, WAL)[0] - wal) / len(microseconds))
        self.p50.append(median(microseconds))
        self.p99.append(quantiles(microseconds, n=100)[98])

    def found(self, other: "Variant") -> list[str]:
        """The columns of `COMMON`: CPU and times as the median of the ratios to another's."""
        after = numbers(self.url, SIZES)
        sizes = [each / 1e6 for pair in zip(self.before, after, strict=True) for each in pair]
        return [
            f"{median(self.wal):,.0f}",
            *(f"{each:.1f}" for each in sizes),
            *(
                f"{median(a / b for a, b in zip(mine, others, strict=True)):.2f}"
                for mine, others in (
                    (self.cpu, other.cpu), (self.p50, other.p50), (self.p99, other.p99),
                )
            ),
        ]  # fmt: skip


def variants(
    postgres: Postgres, directory: Path, rows: int, settings: dict[str, str], expires_at: str
) -> list[Variant]:
    """The tables, each with its own storage parameters, and one script for all of them."""
    found = []
    for name, setting in settings.items():
        say(f"{rows:,} rows: {name}")
        change = f"ALTER TABLE {ours.TABLE} SET ({setting})" if setting else ""
        url = filled(postgres, rows, SIZE, change=change)
        file = script(url, rows, directory / "care.sql", ANOTHER, expires_at=expires_at)
        found.append(Variant(name, url, file, numbers(url, SIZES)))
    return found


def autovacuum(postgres: Postgres, directory: Path, quick: bool) -> str:
    rows, turns, seconds, rate = (2_000, 2, 2, 300) if quick else (50_000, 8, 4, 1_000)
    tables = variants(postgres, directory, rows, AUTOVACUUM, LATER)
    for turn in range(turns):
        say(f"autovacuum: turn {turn + 1} of {turns}")
        for each in tables:
            each.turn(postgres, "-R", str(rate), f"-T{seconds}")
    time.sleep(3)  # for the last vacuum to end, and to be counted
    lines = []
    for each in tables:
        saves, _, dead, vacuums = numbers(each.url, COUNTS)
        more = [f"{saves:,}", f"{vacuums:,}", f"{dead:,}"]
        lines.append([each.name, *more, *each.found(tables[0])])
    return table(["autovacuum", "saves", "vacuums", "dead rows", *COMMON], lines)


def fillfactor(postgres: Postgres, directory: Path, quick: bool) -> str:
    rows, turns, saves = (2_000, 2, 400) if quick else (100_000, 6, 8_000)
    settings = {f"{each} %": f"fillfactor = {each}" for each in FILLFACTORS}
    tables = variants(postgres, directory, rows, settings, SOMETIMES_LATER)
    for turn in range(turns):
        say(f"fillfactor: turn {turn + 1} of {turns}")
        for each in tables:
            each.turn(postgres, f"-t{saves // CLIENTS}")
    lines = []
    for each in tables:
        updated, hot, *_ = numbers(each.url, COUNTS)
        lines.append([each.name, f"{hot / updated:.1%}", *each.found(tables[0])])
    return table(["fillfactor", "HOT", *COMMON], lines)
