"""What a bigger table costs: `python -m benchmarks.store.growth`.

A page's request, and the store's load and save alone, on 10^4, 10^6 and 10^7 rows; the sizes of
table and indexes before and after many saves; the store with payloads of 1, 10 and 100 kB. The
tables go to GROWTH.md, the chart to GROWTH.svg.
"""

import argparse
import os
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pyramid.paster import get_app
from pyramid.request import Request

from benchmarks import PRODUCTION, cli, machine, ours
from benchmarks.chart import Bar, chart
from benchmarks.cli import Blocks, say, table
from benchmarks.store.rows import connect, filled, pgbench, script, tuned_postgres
from tests.harness.postgres import Postgres

BASE_URL = "https://sessions.example.org"
SMALL = 200  # bytes of payload in the tables of many rows
BYTES_PER_ROW = 900  # on the disk, with indexes; rounded up
WORKERS = 4
# Another payload of the same length, as of a session whose oldest visit goes.
ANOTHER = "regexp_replace(:payload, 'v[a-z0-9]{4}=', 'v' || :m || '=', 'g')::json"
SIZES = f"SELECT pg_table_size('{ours.TABLE}'), pg_indexes_size('{ours.TABLE}')"
UPDATES = f"""
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{ours.TABLE}'
"""  # noqa: S608  # ours


@dataclass(frozen=True)
class Result:
    rows: int
    payload: int
    request: float | None
    """Microseconds of a page's request, the median; None where it would shorten the payload."""
    median: float
    p99: float
    """Microseconds, of one load and one save."""
    hot: float
    before: Sequence[int]
    after: Sequence[int]
    """Bytes of the table, and of its indexes."""


def numbers(url: str, query: str) -> tuple[int, ...]:
    with connect(url) as connection:
        found: tuple[int, ...] | None = connection.execute(query.encode()).fetchone()
    assert found
    return found


def updates(url: str) -> tuple[int, ...]:
    """All updates of the table so far, and those that were HOT."""
    time.sleep(3)  # a backend reports once a second at most
    return numbers(url, UPDATES)


def each_time(
    once: Callable[[Any], object], prepared: Callable[[int], Any], rows: int, operations: int
) -> list[float]:
    """Microseconds of `once` on what is prepared for random rows; a fifth as many warm it up."""
    numbers, taken = random.Random(1), []  # noqa: S311  # no secret
    for _ in range(operations + operations // 5):
        given = prepared(numbers.randint(1, rows))
        started = time.perf_counter()
        once(given)
        taken.append((time.perf_counter() - started) * 1e6)
    return taken[operations // 5 :]


def requests(url: str, rows: int, operations: int) -> list[float]:
    """Microseconds of requests for a page by the visitors of rows, answered in this process."""
    os.environ["DATABASE_URL"], os.environ["SESSION_SECRET"] = url, secrets.token_urlsafe(32)
    app = get_app(PRODUCTION)

    def request(number: int) -> Any:
        headers = {"Cookie": ours.cookie(app, number)}
        return Request.blank("/about", base_url=BASE_URL, headers=headers)

    def answered(request: Any) -> None:
        response = request.get_response(app)
        if response.status_int != 200 or "Set-Cookie" in response.headers:
            raise RuntimeError(f"{response.status}: the session was not found")

    return each_time(answered, request, rows, operations)


def result(
    postgres: Postgres, rows: int, size: int, saves: int, operations: int, file: Path
) -> Result:
    say(f"{rows:,} rows of {size:,} bytes")
    url = filled(postgres, rows, size)
    with ours.opened(url) as store:
        taken = each_time(lambda number: ours.visit(store, number), int, rows, operations)
    request = median(requests(url, rows, operations)) if size == SMALL else None
    before, started = numbers(url, SIZES), updates(url)
    # None of these saves is so late that the expiry has to move.
    pgbench(url, script(url, rows, file, ANOTHER), WORKERS, f"-t{saves // WORKERS}")
    ended, after = updates(url), numbers(url, SIZES)
    hot = (ended[1] - started[1]) / (ended[0] - started[0])
    with postgres.connect() as connection:  # its room is needed
        connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())
    p99 = quantiles(taken, n=100)[98]
    return Result(rows, size, request, median(taken), p99, hot, before, after)


def as_table(results: Sequence[Result], first: str) -> str:
    base = results[0]
    header = [first, *(["request µs", "of the first"] if base.request else [])]
    header += ["store µs", "of the first", "p99 µs", "HOT", "table MB", "after", "growth"]
    lines = []
    for r in results:
        line = [f"{getattr(r, first):,}"]
        if r.request and base.request:
            line += [f"{r.request:.0f}", f"{r.request / base.request:.2f}"]
        line += [f"{r.median:.0f}", f"{r.median / base.median:.2f}", f"{r.p99:.0f}", f"{r.hot:.1%}"]
        for before, after in zip(r.before, r.after, strict=True):
            line += [f"{before / 1e6:.1f}", f"{after / 1e6:.1f}", f"{after / before - 1:+.1%}"]
        lines.append(line)
    return table([*header, "indexes MB", "after", "growth"], lines)


def drawn(results: Sequence[Result]) -> str:
    title = "One load and one save by the store, and (orange) the rest of a page's request, in µs"
    bars = []
    for r in results:
        label = f"{r.rows:,} rows" if r.request else f"{r.payload // 1000} kB"
        rest = (r.request or r.median) - r.median
        text = f"{r.median:,.0f}" + (f" of {r.request:,.0f}" if r.request else "")
        bars.append(Bar(label, text, r.median, rest))
    return chart(title, [(title, bars)])


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    sizes = [1_000, 10_000] if args.quick else [10_000, 1_000_000, 10_000_000]
    saves, big_saves, operations = (2_000, 400, 200) if args.quick else (200_000, 5_000, 5_000)
    free = shutil.disk_usage("/tmp").free  # noqa: S108  # where PostgreSQL has its data
    sizes = [rows for rows in sizes if rows * BYTES_PER_ROW < free * 0.8]
    file = directory / "save.sql"
    with tuned_postgres(directory) as postgres:
        many = [result(postgres, rows, SMALL, saves, operations, file) for rows in sizes]
        big = [
            result(postgres, 1_000, size, big_saves, operations, file)
            for size in (1_000, 10_000, 100_000)
        ]
        where = machine.description(postgres)
    return {
        "rows": as_table(many, "rows"),
        "payload": as_table(big, "payload"),
        "machine": where,
        "svg": drawn([*many, *big]),
    }


if __name__ == "__main__":
    file = Path(__file__).parent / "GROWTH.md"
    sys.exit(cli.run(cli.options("store.growth", __doc__, file), measure))
