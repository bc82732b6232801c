"""What a bigger table costs: `python -m benchmarks.store growth`.

A page's request, and the store's load and save alone, on 10^4, 10^6 and 10^7 rows; the sizes of
table and indexes before and after 200,000 saves; the store with payloads of 1, 10 and 100 kB. The
tables go to GROWTH.md, the chart to GROWTH.svg.
"""

import argparse
import os
import random
import secrets
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyramid.paster import get_app
from pyramid.request import Request

from benchmarks import cli, machine, ours
from benchmarks.chart import Drawing
from benchmarks.cli import Report, progress, say, table
from benchmarks.peers.install import PRODUCTION
from benchmarks.store.rows import connect, fill, pgbench, script, tuned_postgres
from tests.harness.postgres import Postgres

FILE = Path(__file__).parent / "GROWTH.md"
BASE_URL = "https://sessions.example.org"
SMALL = 200  # bytes of payload in the tables of many rows
BYTES_PER_ROW = 900  # on the disk, with indexes, while they are built; rounded up
WORKERS = 4
# Another payload of the same length, as of a session whose oldest visit goes.
ANOTHER = "regexp_replace(:payload, 'v[a-z0-9]{4}=', 'v' || :m || '=', 'g')::json"
MB = 1e6
INDEXES = f"SELECT indexname FROM pg_indexes WHERE tablename = '{ours.TABLE}'"  # noqa: S608  # ours
UPDATES = f"""
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{ours.TABLE}'
"""  # noqa: S608  # ours


@dataclass(frozen=True)
class Plan:
    rows: tuple[int, ...]
    saves: int
    operations: int
    payloads: tuple[int, ...] = (1_000, 10_000, 100_000)
    payload_rows: int = 1_000
    payload_saves: int = 5_000


FULL = Plan((10_000, 1_000_000, 10_000_000), saves=200_000, operations=5_000)
QUICK = Plan((10_000, 100_000), saves=20_000, operations=1_000, payload_saves=1_000)


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
    saves: int
    before: tuple[int, int]
    after: tuple[int, int]
    """Bytes of the table, and of its indexes."""


def prepare(url: str, rows: int, size: int) -> None:
    """A table of that many rows; its indexes are built last, which takes a third of the time."""
    with connect(url) as connection:
        found = [name for (name,) in connection.execute(INDEXES.encode())]
        if len(found) != len(ours.BUILD_INDEXES):
            raise RuntimeError(f"ours.py does not know the indexes {found}")
        connection.execute(ours.DROP_INDEXES)
    fill(url, rows, size, progress(f"{rows:,} rows of {size:,} bytes"))
    with connect(url) as connection:
        show = progress("indexes")
        connection.execute("SET maintenance_work_mem = '512MB'")
        for number, statement in enumerate(ours.BUILD_INDEXES):
            connection.execute(statement.encode())
            show(number + 1, len(ours.BUILD_INDEXES))
        connection.execute(f"VACUUM ANALYZE {ours.TABLE}".encode())
        connection.execute("CHECKPOINT")


def sizes(url: str) -> tuple[int, int]:
    query = f"SELECT pg_table_size('{ours.TABLE}'), pg_indexes_size('{ours.TABLE}')"
    with connect(url) as connection:
        found = connection.execute(query.encode()).fetchone()
    assert found
    return found[0], found[1]


def updates(url: str) -> tuple[int, int]:
    """All updates of the table, and the HOT ones, after all backends have reported theirs."""
    last = (-1, -1)
    while True:
        with connect(url) as connection:
            found = connection.execute(UPDATES.encode()).fetchone()
        assert found
        if found == last:
            return last
        last = found
        time.sleep(1.5)  # a backend reports at most once per second


def each_time(once: Callable[[int], float], rows: int, operations: int) -> list[float]:
    """The results of `once` for random rows, after a warm-up of a fifth as many rows."""
    numbers = random.Random(1)  # noqa: S311  # no secret
    taken = [once(numbers.randint(1, rows)) for _ in range(operations + operations // 5)]
    return taken[operations // 5 :]


def latencies(url: str, rows: int, operations: int) -> list[float]:
    """Microseconds of each load and save, one after the other, on random rows."""
    with ours.opened(url) as store:

        def once(number: int) -> float:
            started = time.perf_counter()
            ours.visit(store, number)
            return (time.perf_counter() - started) * 1e6

        return each_time(once, rows, operations)


def requests(url: str, rows: int, operations: int) -> list[float]:
    """Microseconds of each request for a page, answered in this process, on random rows."""
    os.environ["DATABASE_URL"], os.environ["SESSION_SECRET"] = url, secrets.token_urlsafe(32)
    app = get_app(str(PRODUCTION))

    def once(number: int) -> float:
        headers = {"Cookie": ours.cookie(app, number)}
        request = Request.blank("/about", base_url=BASE_URL, headers=headers)
        started = time.perf_counter()
        response = request.get_response(app)
        took = time.perf_counter() - started
        if response.status_int != 200 or "Set-Cookie" in response.headers:
            raise RuntimeError(f"{response.status}: the session was not found")
        return took * 1e6

    return each_time(once, rows, operations)


def save_many(url: str, rows: int, saves: int, file: Path) -> None:
    """Saves by several clients at once, all too early to extend the expiry."""
    with ours.opened(url) as store:
        file.write_text(script(store, rows, ANOTHER))
    say(f"{saves:,} saves\n")
    pgbench(url, file, WORKERS, transactions=saves // WORKERS)


def measure(
    postgres: Postgres, rows: int, size: int, saves: int, operations: int, file: Path
) -> Result:
    url = postgres.create_database("growth")
    ours.create_table(url)
    prepare(url, rows, size)
    taken = latencies(url, rows, operations)
    request = statistics.median(requests(url, rows, operations)) if size == SMALL else None
    before, started = sizes(url), updates(url)
    save_many(url, rows, saves, file)
    ended, after = updates(url), sizes(url)
    hot = (ended[1] - started[1]) / (ended[0] - started[0])
    with postgres.connect() as connection:
        drop = f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'
        connection.execute(drop.encode())
    p99 = statistics.quantiles(taken, n=100)[98]
    return Result(rows, size, request, statistics.median(taken), p99, hot, saves, before, after)


def as_table(results: Sequence[Result], first: str) -> str:
    base = results[0]
    header = [first, *(["request µs", "of the first"] if base.request else [])]
    header += ["store µs", "of the first", "p99 µs", "HOT", "table MB", "after", "growth"]
    lines: list[list[object]] = []
    for r in results:
        line: list[object] = [f"{r.rows if first == 'rows' else r.payload:,}"]
        if r.request and base.request:
            line += [f"{r.request:.0f}", f"{r.request / base.request:.2f}"]
        line += [f"{r.median:.0f}", f"{r.median / base.median:.2f}"]
        line += [f"{r.p99:.0f}", f"{r.hot:.1%}"]
        for before, after in zip(r.before, r.after, strict=True):
            line += [f"{before / MB:.1f}", f"{after / MB:.1f}", f"{after / before - 1:+.1%}"]
        lines.append(line)
    return table([*header, "indexes MB", "after", "growth"], lines)


def page(plan: Plan, many: str, big: str, notes: str, where: str) -> str:
    return f"""# Growth

Written by `python -m benchmarks.store growth` (`make bench-growth`). “Request” is a page's, by the
whole app in this process, without a server in front, on random rows: the median of
{plan.operations:,}. “Store” and p99 are one load by key and one save by id and version alone. Then
{plan.saves:,} saves by {WORKERS} clients of pgbench, each with another payload, and the sizes
before and after. None of these saves moves the expiry: sessions do that once in `reissue_time` at
most, and it is indexed, so that such a save is never HOT (it changes no other page than a HOT one
and the indexes').

![A page's request and the store's part of it, by rows and payload](GROWTH.svg)

## Rows
Payloads of about {SMALL} bytes.

{many}
## Payload
{plan.payload_rows:,} rows, and {plan.payload_saves:,} saves; the size is the JSON text's, in bytes.
The table's size includes what PostgreSQL compresses and moves out of line (TOAST), where an old
version stays until the next vacuum.

{big}
{notes}PostgreSQL has `fsync` off, 1 GB of shared buffers and its own autovacuum settings.

{where}"""


def chart(many: Sequence[Result], big: Sequence[Result]) -> str:
    title = "A page's request, and of it one load and one save by the store (dark): microseconds"
    drawing = Drawing()
    drawing.heading(title)
    labelled = [(f"{r.rows:,} rows", r) for r in many]
    labelled += [(f"{r.payload // 1000} kB", r) for r in big]
    scale = max(r.request or r.median for _, r in labelled)
    for label, r in labelled:
        text = f"{r.request:,.0f}, of these {r.median:,.0f}" if r.request else f"{r.median:,.0f}"
        pieces = [("server", r.median), ("server faint", (r.request or r.median) - r.median)]
        drawing.bar(label, pieces, text, scale)
    return drawing.svg(title)


def measured(args: argparse.Namespace, directory: Path) -> Report:
    plan = QUICK if args.quick else FULL
    free = shutil.disk_usage("/tmp").free  # noqa: S108  # where start_postgres has its data
    sizes_left = [rows for rows in plan.rows if rows * BYTES_PER_ROW < free * 0.8]
    notes = "" if len(sizes_left) == len(plan.rows) else "More rows have no room on this disk.\n"
    file = directory / "save.sql"
    with tuned_postgres(directory) as postgres:
        many = [
            measure(postgres, rows, SMALL, plan.saves, plan.operations, file) for rows in sizes_left
        ]
        big = [
            measure(postgres, plan.payload_rows, size, plan.payload_saves, plan.operations, file)
            for size in plan.payloads
        ]
        where = machine.in_short(["SQLAlchemy", "psycopg"], postgres)
    tables = as_table(many, "rows"), as_table(big, "payload")
    return Report(page(plan, *tables, notes, where), "\n".join(tables), chart(many, big))


def main() -> int:
    return cli.run(cli.options("store growth", __doc__, FILE, "10^4 and 10^5 rows"), measured)
