"""A table that is not in the write-ahead log, and what a crash leaves of it."""

from pathlib import Path
from statistics import median

from benchmarks import ours
from benchmarks.cli import say, table
from benchmarks.store.rows import ANOTHER, WAL, connect, filled, numbers, pgbench, script
from tests.harness.postgres import Postgres

CLIENTS = 4
ROWS = f"SELECT count(*) FROM {ours.TABLE}"  # noqa: S608  # ours
VERSION = f"""
SELECT coalesce(max(version), 0) FROM {ours.TABLE} WHERE id = '{ours.row_id(1)}'
"""  # noqa: S608  # ours
LAST = 100  # saves right before the crash
LOGGED, LATE, UNLOGGED = "as it comes", "`synchronous_commit = off`", "`UNLOGGED`"


def measure(postgres: Postgres, directory: Path, quick: bool) -> str:
    """On a server that waits for its disk; it is killed at the end, and started again."""
    rows, turns, seconds = (1_000, 1, 1) if quick else (20_000, 5, 4)
    change = f"ALTER TABLE {ours.TABLE} SET UNLOGGED"
    urls = {
        name: filled(postgres, rows, 700, change=change if name == UNLOGGED else "")
        for name in (LOGGED, UNLOGGED, LATE)  # the crash comes right after the last
    }
    with connect(urls[LATE]) as connection:
        name = urls[LATE].rpartition("/")[2]
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    file = script(urls[LOGGED], rows, directory / "unlogged.sql", ANOTHER)
    rates: dict[str, list[float]] = {name: [] for name in urls}
    wal: dict[str, list[float]] = {name: [] for name in urls}
    for turn in range(turns):
        say(f"UNLOGGED: turn {turn + 1} of {turns}")
        for name, url in urls.items():
            before = numbers(url, WAL)[0]
            rate = pgbench(url, file, CLIENTS, f"-T{seconds}")
            rates[name].append(rate)
            wal[name].append((numbers(url, WAL)[0] - before) / (rate * seconds))
    there = {name: numbers(url, ROWS)[0] for name, url in urls.items()}
    last = {name: saved(url) for name, url in urls.items()}
    postgres.kill()
    postgres.start()
    lines = []
    for name, url in urls.items():
        ratio = median(a / b for a, b in zip(rates[name], rates[LOGGED], strict=True))
        kept = f"{numbers(url, ROWS)[0]:,} of {there[name]:,}"
        line = [name, f"{ratio:.2f}", f"{median(wal[name]):,.0f}", kept]
        lines.append([*line, f"{min(LAST, last[name] - numbers(url, VERSION)[0])} of {LAST}"])
    header = ["the table", "visits/s, of the first", "WAL bytes per visit", "rows after a crash"]
    return table([*header, "saves lost, of the last"], lines)


def saved(url: str) -> int:
    """Save row 1 `LAST` times, and return the version that it has then."""
    with ours.opened(url) as store:
        if not all(ours.visit(store, 1) for _ in range(LAST)):
            raise RuntimeError("a visit was not saved")
    return numbers(url, VERSION)[0]
