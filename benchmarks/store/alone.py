"""The store alone against pgbench with the same statements: `python -m benchmarks.store`.

One transaction is one `load` by key and one `save` by id and version, on a random row. The tables
go to benchmarks/STORE.md.
"""

import argparse
import multiprocessing
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks import cli, machine
from benchmarks.cli import Report, output, progress, say, table
from benchmarks.store_steps import NAMES, STEPS, key, with_values
from sessionsite.sessions.sql import SQLAlchemyStore
from tests.servers.postgres import Postgres, bindirs, start_postgres
from tests.stores import sql_store

ROWS = 10_000
CLIENTS = (1, 4, 16)
TURNS = 3
URL = "https://sessions.example.org/about?visit=%s"
FILL = """
INSERT INTO sessions (id, key, payload, version, created_at, seen_at, expires_at)
SELECT left(translate(encode(sha256(int8send(-n)), 'base64'), '+/', '-_'), 22),
       sha256(decode(repeat('00', 24), 'hex') || int8send(n)), %s::json, 1, now(), now(),
       now() + interval '20 minutes' * random() + interval '10 hours'
FROM generate_series(%s::bigint, %s::bigint) AS n
"""


def payload(size: int) -> str:
    """JSON text of about `size` bytes that does not compress to nothing: a history of visits."""
    numbers = random.Random(size)  # noqa: S311  # no secret
    entries = max(1, round(size / (len(URL) + 18)))
    urls = ", ".join(f'"{URL % numbers.randbytes(8).hex()}"' for _ in range(entries))
    return f'{{"_csrft_": "{numbers.randbytes(20).hex()}", "history": [{urls}]}}'


def fill(url: str, rows: int, size: int, show: Callable[[int, int], None], first: int = 1) -> None:
    """Add `rows` sessions with payloads of about `size` bytes, from number `first` on."""
    step = 500_000
    with connect(url) as connection:
        for done in range(0, rows, step):
            last = min(done + step, rows)
            connection.execute(FILL, (payload(size), first + done, first + last - 1))
            show(last, rows)


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@contextmanager
def tuned_postgres(directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL with 1 GB of shared buffers, and `fsync` off: disks are not the question."""
    with start_postgres(directory) as postgres:
        with postgres.connect() as connection:
            for setting in ("shared_buffers = '1GB'", "max_wal_size = '4GB'"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
        postgres.stop()
        postgres.start()
        yield postgres


def work(store: SQLAlchemyStore, rows: int, seed: int, goes_on: Callable[[], bool]) -> int:
    """Load and save random rows while `goes_on`; return how many saves were done."""
    numbers = random.Random(seed)  # noqa: S311  # no secret
    saved = 0
    while goes_on():
        now = datetime.now(UTC)
        record = store.load(key(numbers.randint(1, rows)), now)
        assert record is not None
        saved += store.save(replace(record, seen_at=now), record.version, now)
    return saved


def warm_up(store: SQLAlchemyStore, seed: int) -> None:
    """Connect, and have the statements prepared."""
    left = iter(range(20))
    work(store, ROWS, seed, lambda: next(left, None) is not None)


@contextmanager
def running_processes(
    target: Callable[..., None], all_args: Sequence[tuple[Any, ...]]
) -> Iterator[None]:
    """Processes that are gone in the end, whatever happens."""
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=target, args=args, daemon=True) for args in all_args]
    try:
        for process in running:
            process.start()
        yield
        for process in running:
            process.join(10)
    finally:
        for process in running:
            if process.is_alive():
                process.kill()
                process.join()


@dataclass(frozen=True)
class Rate:
    per_second: float
    cpu: float
    """Microseconds of the client's, for each."""


def threads(url: str, count: int, seconds: float) -> Rate:
    """`count` threads of one process, on a pool with a connection for each."""
    store = sql_store(url, engine={"pool_size": str(count)}, create_table=False)
    saved = [0] * count
    barrier = threading.Barrier(count + 1)
    end = [0.0]

    def one(index: int) -> None:
        warm_up(store, index)
        barrier.wait()
        saved[index] = work(store, ROWS, index, lambda: time.monotonic() < end[0])

    running = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in running:
        thread.start()
    before, started = time.process_time(), time.monotonic()
    end[0] = started + seconds
    barrier.wait()
    for thread in running:
        thread.join()
    cpu, took = time.process_time() - before, time.monotonic() - started
    store.engine.dispose()
    return Rate(sum(saved) / took, cpu / max(1, sum(saved)) * 1e6)


def _process(url: str, index: int, seconds: float, ready: Any, results: Any) -> None:
    store = sql_store(url, create_table=False)
    warm_up(store, index)
    ready.wait(60)
    before, end = time.process_time(), time.monotonic() + seconds
    saved = work(store, ROWS, index, lambda: time.monotonic() < end)
    results.put((saved, time.process_time() - before))


def processes(url: str, count: int, seconds: float) -> Rate:
    """`count` processes of one thread each."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(count), context.Queue()
    all_args = [(url, index, seconds, ready, results) for index in range(count)]
    with running_processes(_process, all_args):
        found = [results.get(timeout=seconds + 120) for _ in all_args]
    saved = sum(number for number, _ in found)
    return Rate(saved / seconds, sum(cpu for _, cpu in found) / max(1, saved) * 1e6)


def script(store: SQLAlchemyStore) -> str:
    """The store's own two statements, for pgbench."""
    values = {
        "key": "sha256(decode(repeat('00', 24), 'hex') || int8send(:n))",
        "now": "now()",
        "seen_at": "now()",
        "record_id": ":id",
        "expected_version": ":version",
        "payload": ":payload",
        "expires_at": ":expires_at",
    }
    texts = [with_values(store, name, values.__getitem__) for name in NAMES]
    load, save = (" ".join(text.split()) for text in texts)
    return f"\\set n random(1, {ROWS})\n{load} \\gset\n{save};\n"


def pgbench(url: str, count: int, seconds: float, file: Path) -> float:
    """Transactions a second."""
    program = shutil.which("pgbench") or str(bindirs()[0] / "pgbench")
    options = ["-n", "-M", "prepared", "-c", str(count), "-j", str(min(2, count))]
    plain = url.replace("+psycopg", "")
    text = output([program, *options, "-T", str(round(seconds)), "-f", file, "-d", plain])
    return float(re.findall(r"tps = ([\d.]+)", text)[0])


def as_steps(store: SQLAlchemyStore, url: str, seconds: float, file: Path) -> str:
    """The table of `STEPS`, each the median of its turns."""
    each = max(1, seconds / TURNS)
    walls: dict[str, list[float]] = {"pgbench": []}
    cpus: dict[str, list[float]] = {}
    for turn in range(TURNS):
        say(f"one client, step by step: turn {turn + 1} of {TURNS}\n")
        walls["pgbench"].append(1e6 / pgbench(url, 1, each, file))
        for name, step in STEPS.items():
            wall, cpu = step(store, url, ROWS, each)
            walls.setdefault(name, []).append(wall)
            cpus.setdefault(name, []).append(cpu)
    lines: list[list[object]] = []
    last = 0.0
    for name, found in walls.items():
        wall = median(found)
        more = f"{wall - last:+.0f}" if last else ""
        lines.append([name, f"{wall:.0f}", more, f"{median(cpus[name]):.0f}" if last else ""])
        last = wall
    return table(["one client", "µs", "more", "client's CPU µs"], lines)


def page(rates: str, steps: str, where: str) -> str:
    return f"""# The store alone

Written by `python -m benchmarks.store` (`make bench-store`). One transaction is the store's own
SELECT by key and its UPDATE by id and version, on one of {ROWS:,} random rows of about 700 bytes,
each statement committed by itself; pgbench runs the same text, prepared. PostgreSQL has `fsync` off
and 1 GB of shared buffers, and shares the machine with its clients.

{rates}
CPU is the client's, user and system, for each load and save.

## What the difference is made of
One client, microseconds for each load and save, the median of {TURNS} turns; “more” is the
difference to the line above. pgbench has the server compute the key, and libpq in C do the rest.
psycopg's cursor is what the store does without, and stands here for comparison. After the store's
statements, each line does what the one above it does, and what it names.

{steps}
With more clients than one, threads take turns: one process never uses more than one core for
Python, and what a load and save costs of it bounds the rate. Processes share no such core, only
the machine's.

{where}"""


def measured(args: argparse.Namespace, directory: Path) -> Report:
    seconds = 2 if args.quick else 15
    with tuned_postgres(directory) as postgres:
        url = postgres.create_database("store")
        store = sql_store(url)
        fill(url, ROWS, 700, progress("rows"))
        file = directory / "store.sql"
        file.write_text(script(store))
        rows = []
        for count in CLIENTS:
            say(f"{count} clients: pgbench, threads, processes\n")
            bench = pgbench(url, count, seconds, file)
            one, many = threads(url, count, seconds), processes(url, count, seconds)
            cells: list[object] = [count, f"{bench:,.0f}"]
            for rate in (one, many):
                share = rate.per_second / bench
                cells += [f"{rate.per_second:,.0f}", f"{share:.2f}", f"{rate.cpu:.0f}"]
            rows.append(cells)
        header = ["clients", "pgbench /s", "threads /s", "of pgbench", "CPU µs"]
        rates = table([*header, "processes /s", "of pgbench", "CPU µs"], rows)
        steps = as_steps(store, url, seconds, file)
        where = machine.in_short(postgres, ["SQLAlchemy", "psycopg"])
        store.engine.dispose()
    return Report(page(rates, steps, where), f"{rates}\n{steps}")


if __name__ == "__main__":
    options = cli.options("store", __doc__, quick="2 seconds of each, and no file")
    sys.exit(cli.run(options, measured))
