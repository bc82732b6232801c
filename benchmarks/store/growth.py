"""What a bigger table costs: `python -m benchmarks.store.growth`.

A page's request, and the store's load and save alone, on 10^4, 10^6 and 10^7 rows; the sizes of
table and indexes before and after many saves; the store with payloads of 1, 10 and 100 kB. The
table goes to GROWTH.md, the chart to GROWTH.svg.
"""

import argparse
import os
import random
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pyramid.paster import get_app
from pyramid.request import Request

from benchmarks import PRODUCTION, cli, machine, ours
from benchmarks.chart import Bar, chart
from benchmarks.cli import Blocks, say, table
from benchmarks.store.rows import (
    ANOTHER,
    SIZES,
    UPDATES,
    filled,
    numbers,
    pgbench,
    script,
    tuned_postgres,
)
from sessionsite.sessions import utc_now
from tests.harness.postgres import Postgres

BASE_URL = "https://sessions.example.org"
SMALL = 200  # bytes of payload in the tables of many rows
WORKERS = 4

EACH = 3  # sessions per owner
HEADER = ["rows", "owners", "payload", "request µs", "store µs", "p99 µs", "sessions_of µs", "HOT"]
HEADER += ["table MB", "after", "indexes MB", "after"]


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
    os.environ["SITE_HOSTS"] = "*"
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
    postgres: Postgres, rows: int, size: int, each: int, saves: int, operations: int, file: Path
) -> tuple[list[str], Bar]:
    """A line of the table, and of the chart; `each`: sessions per owner, 0 for no owners."""
    owners = f"{rows // each:,}" if each else "none"
    say(f"{rows:,} rows of {size:,} bytes, owners: {owners}")
    url = filled(postgres, rows, size, each)
    found = ""
    with ours.opened(url) as store:
        taken = each_time(lambda number: ours.visit(store, number), int, rows, operations)
        if each:
            now = utc_now()
            lists = each_time(
                lambda owner: store.sessions_of(owner, now),
                lambda number: ours.owner(number, each), rows, operations,
            )  # fmt: skip
            found = f"{median(lists):.0f}"
    # A page would shorten the others' histories.
    request = median(requests(url, rows, operations)) if size == SMALL else 0
    before, started = numbers(url, SIZES), updates(url)
    # None of these saves is so late that the expiry has to move.
    pgbench(url, script(url, rows, file, ANOTHER), WORKERS, f"-t{saves // WORKERS}")
    ended, after = updates(url), numbers(url, SIZES)
    hot = (ended[1] - started[1]) / (ended[0] - started[0])
    with postgres.connect() as connection:  # its room is needed
        connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())
    line = [f"{rows:,}", owners, f"{size:,}", f"{request:.0f}" if request else ""]
    line += [f"{median(taken):.0f}", f"{quantiles(taken, n=100)[98]:.0f}", found, f"{hot:.1%}"]
    line += [f"{each / 1e6:.1f}" for both in zip(before, after, strict=True) for each in both]
    text = f"{median(taken):,.0f}" + (f" of {request:,.0f}" if request else "")
    label = f"{rows:,} rows of {size:,} bytes" + (", with owners" if each else "")
    return line, Bar(label, text, median(taken), max(request - median(taken), 0))


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    sizes = [1_000, 10_000] if args.quick else [10_000, 1_000_000, 10_000_000]
    plain = sizes[-2]  # once more without owners, beside the same with owners
    saves, big_saves, operations = (2_000, 400, 200) if args.quick else (200_000, 5_000, 5_000)
    file = directory / "save.sql"
    with tuned_postgres(directory) as postgres:
        found = [result(postgres, plain, SMALL, 0, saves, operations, file)]
        found += [result(postgres, rows, SMALL, EACH, saves, operations, file) for rows in sizes]
        found += [
            result(postgres, 1_000, size, 0, big_saves, operations, file)
            for size in (1_000, 10_000, 100_000)
        ]
        where = machine.description(postgres)
    lines, bars = zip(*found, strict=True)
    title = "One load and one save by the store, and (orange) the rest of a page's request, in µs"
    return {"growth": f"{table(HEADER, lines)}\n{where}", "svg": chart(title, [(title, bars)])}


if __name__ == "__main__":
    file = Path(__file__).parent / "GROWTH.md"
    sys.exit(cli.run(cli.options("store.growth", __doc__, file), measure))
