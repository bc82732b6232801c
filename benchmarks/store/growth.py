"""What a bigger table costs: `python -m benchmarks.store.growth`.

A page's request, and the store's load and save alone, on 10^4, 10^6 and 10^7 rows in turns; what a
row takes before and after many saves, beside connect-pg-simple's; the store with payloads of 1, 10
and 100 kB. The tables go to GROWTH.md, the chart to GROWTH.svg.
"""

import argparse
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pyramid.paster import get_app
from pyramid.request import Request

from benchmarks import PRODUCTION, cli, machine, ours
from benchmarks.chart import Bar, chart
from benchmarks.cli import Blocks, say, table
from benchmarks.store.rows import each_time, filled, tuned_postgres
from benchmarks.store.sizes import Saves, Sizes, beside, saved
from sessionsite.sessions import utc_now
from tests.harness.postgres import Postgres

BASE_URL = "https://sessions.example.org"
SMALL = 200  # bytes of payload in the tables of many rows
EACH = 3  # sessions per owner
ROUNDS = 20
HEADER = ["rows", "owners", "request µs", "of the first", "store µs", "of the first", "p99 µs"]
HEADER += ["sessions_of µs"]
PAYLOADS = ["payload", "store µs", "p99 µs", "HOT", "table MB", "after", "indexes MB", "after"]


class Table:
    """One of the tables, with what a page's request and the store took on it, by round."""

    def __init__(self, postgres: Postgres, rows: int, each: int, exits: ExitStack) -> None:
        """`each`: sessions per owner, 0 for no owners."""
        self.rows, self.each = rows, each
        self.owners = f"{rows // each:,}" if each else "none"
        say(f"{rows:,} rows, owners: {self.owners}")
        self.url = filled(postgres, rows, SMALL, each)
        self.store = exits.enter_context(ours.opened(self.url))
        os.environ["DATABASE_URL"], os.environ["SITE_HOSTS"] = self.url, "*"
        os.environ["SESSION_SECRET"] = secrets.token_urlsafe(32)
        self.app = get_app(PRODUCTION)
        self.requests: list[list[float]] = []
        self.visits: list[list[float]] = []
        self.lists: list[float] = []

    def time(self, operations: int) -> None:
        """One round: so many requests, visits and lists."""
        self.requests.append(self._each_time(self._answer, self._request, operations))
        visit = ours.visit
        self.visits.append(self._each_time(lambda n: visit(self.store, n), int, operations))
        if self.each:
            owner, now = ours.owner, utc_now()
            self.lists += self._each_time(
                lambda owner: self.store.sessions_of(owner, now),
                lambda number: owner(number, self.each), operations,
            )  # fmt: skip

    def _each_time(
        self, once: Callable[[Any], object], prepared: Callable[[int], Any], operations: int
    ) -> list[float]:
        return each_time(once, prepared, self.rows, operations, seed=len(self.requests))

    def _request(self, number: int) -> Any:
        headers = {"Cookie": ours.cookie(self.app, number)}
        return Request.blank("/about", base_url=BASE_URL, headers=headers)

    def _answer(self, request: Any) -> None:
        response = request.get_response(self.app)
        if response.status_int != 200 or "Set-Cookie" in response.headers:
            raise RuntimeError(f"{response.status}: the session was not found")

    def line(self, first: "Table") -> list[str]:
        visits = [each for taken in self.visits for each in taken]
        cells = [f"{self.rows:,}", self.owners]
        for mine, others in ((self.requests, first.requests), (self.visits, first.visits)):
            mid, base = list(map(median, mine)), list(map(median, others))
            cells.append(f"{median(mid):.0f}")
            cells.append(f"{median(a / b for a, b in zip(mid, base, strict=True)):.2f}")
        cells.append(f"{quantiles(visits, n=100)[98]:.0f}")
        return [*cells, f"{median(self.lists):.0f}" if self.lists else ""]

    def bar(self) -> Bar:
        request, visit = (median(map(median, each)) for each in (self.requests, self.visits))
        label = f"{self.rows:,} rows" + (", with owners" if self.each else "")
        return Bar(label, f"{visit:,.0f} of {request:,.0f}", visit, request - visit)


def by_rows(
    postgres: Postgres, sizes: list[int], operations: int, saves: Saves
) -> tuple[str, str, list[Bar]]:
    """The table of times, the one of sizes, and the bars."""
    plain = sizes[-2]  # once more without owners
    with ExitStack() as exits:
        tables = [Table(postgres, rows, EACH, exits) for rows in sizes]
        tables.append(Table(postgres, plain, 0, exits))
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            for each in tables:
                each.time(operations // ROUNDS)
    found = [
        saved(postgres, each.url, f"ours, owners: {each.owners}", each.rows, saves)
        for each in tables
    ]
    found.append(beside(postgres, plain, SMALL, saves))
    times = table(HEADER, [each.line(tables[0]) for each in tables])
    return times, table(Sizes.HEADER, [each.line() for each in found]), [t.bar() for t in tables]


def by_payload(postgres: Postgres, size: int, operations: int, saves: Saves) -> list[str]:
    """A line of the table of payloads, on a thousand rows."""
    rows = 1_000
    say(f"{rows:,} rows of {size:,} bytes")
    url = filled(postgres, rows, size)
    with ours.opened(url) as store:
        taken = each_time(lambda number: ours.visit(store, number), int, rows, operations)
    sizes = saved(postgres, url, "", rows, saves)
    line = [f"{size:,}", f"{median(taken):.0f}", f"{quantiles(taken, n=100)[98]:.0f}"]
    both = zip(sizes.before, sizes.after, strict=True)
    return [*line, f"{sizes.hot:.1%}", *(f"{each / 1e6:.1f}" for two in both for each in two)]


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    sizes = [1_000, 10_000] if args.quick else [10_000, 1_000_000, 10_000_000]
    count, big_count, operations = (2_000, 400, 200) if args.quick else (200_000, 5_000, 10_000)
    saves, big_saves = (Saves(each, directory / "save.sql") for each in (count, big_count))
    with tuned_postgres(directory) as postgres:
        times, rows, bars = by_rows(postgres, sizes, operations, saves)
        payloads = [
            by_payload(postgres, size, operations // 2, big_saves)
            for size in (1_000, 10_000, 100_000)
        ]
        where = machine.description(postgres)
    title = "One load and one save by the store, and (orange) the rest of a page's request, in µs"
    return {
        "rows": f"{times}\n{where}",
        "sizes": rows,
        "payloads": table(PAYLOADS, payloads),
        "svg": chart(title, [(title, bars)]),
    }


if __name__ == "__main__":
    file = Path(__file__).parent / "GROWTH.md"
    sys.exit(cli.run(cli.options("store.growth", __doc__, file), measure))
