"""The store alone against pgbench with the same statements: `python -m benchmarks.store`.

One transaction is one `load` by key and one `save` by id and version, on a random row. The tables
go to STORE.md. With `growth` as the first word: what a bigger table costs.
"""

import argparse
import multiprocessing
import random
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import cli, machine, ours
from benchmarks.cli import Report, progress, say, table
from benchmarks.ours import Store
from benchmarks.store.rows import fill, pgbench, script, tuned_postgres
from benchmarks.store.steps import STEPS, timed

FILE = Path(__file__).parent / "STORE.md"
ROWS = 10_000
CLIENTS = (1, 4, 16)
TURNS = 3


@dataclass(frozen=True)
class Rate:
    per_second: float
    cpu: float
    """Microseconds of the client's, for each."""


def client(store: Store, index: int, seconds: float, ready: Any) -> tuple[int, float]:
    """Load and save random rows once all are `ready`; return how many, and the CPU seconds."""
    numbers = random.Random(index)  # noqa: S311  # no secret
    for _ in range(20):  # connect, and have the statements prepared
        ours.visit(store, numbers.randint(1, ROWS))
    ready.wait(60)
    cpu, end, saved = time.thread_time(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        saved += ours.visit(store, numbers.randint(1, ROWS))
    return saved, time.thread_time() - cpu


def rate(found: Iterable[tuple[int, float]], seconds: float) -> Rate:
    saved, cpu = (sum(each) for each in zip(*found, strict=True))
    return Rate(saved / seconds, cpu / max(1, saved) * 1e6)


def threads(url: str, count: int, seconds: float) -> Rate:
    """`count` threads of one process, on a pool with one connection per thread."""
    ready = threading.Barrier(count)
    with ours.opened(url, count) as store, ThreadPoolExecutor(count) as pool:
        return rate(pool.map(lambda n: client(store, n, seconds, ready), range(count)), seconds)


def _process(url: str, index: int, seconds: float, ready: Any) -> tuple[int, float]:
    with ours.opened(url) as store:
        return client(store, index, seconds, ready)


def processes(url: str, count: int, seconds: float) -> Rate:
    """`count` processes of one thread each."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(count, context) as pool:
        ready = manager.Barrier(count)
        jobs = [pool.submit(_process, url, n, seconds, ready) for n in range(count)]
        return rate([job.result() for job in jobs], seconds)


def as_rates(url: str, clients: Sequence[int], seconds: float, file: Path) -> str:
    rows = []
    for count in clients:
        say(f"{count} clients: pgbench, threads, processes\n")
        bench = pgbench(url, file, count, seconds=seconds)
        cells: list[object] = [count, f"{bench:,.0f}"]
        for rate in (threads(url, count, seconds), processes(url, count, seconds)):
            share = rate.per_second / bench
            cells += [f"{rate.per_second:,.0f}", f"{share:.2f}", f"{rate.cpu:.0f}"]
        rows.append(cells)
    header = ["clients", "pgbench /s", "threads /s", "of pgbench", "CPU µs"]
    return table([*header, "processes /s", "of pgbench", "CPU µs"], rows)


def as_steps(store: Store, url: str, seconds: float, file: Path) -> str:
    """The table of `STEPS`, each the median of its turns."""
    each = seconds / TURNS
    walls: dict[str, list[float]] = {"pgbench": []}
    cpus: dict[str, list[float]] = {}
    for turn in range(TURNS):
        say(f"one client, step by step: turn {turn + 1} of {TURNS}\n")
        walls["pgbench"].append(1e6 / pgbench(url, file, 1, seconds=each))
        for name, step in STEPS.items():
            with step(store, url) as once:
                wall, cpu = timed(once, ROWS, each)
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
    seconds = args.seconds or (2 if args.quick else 15)
    with tuned_postgres(directory) as postgres:
        url = postgres.create_database("store")
        ours.create_table(url)
        fill(url, ROWS, 700, progress("rows"))
        file = directory / "store.sql"
        with ours.opened(url) as store:
            file.write_text(script(store, ROWS))
            rates = as_rates(url, args.clients, seconds, file)
            steps = as_steps(store, url, seconds, file)
        where = machine.in_short(["SQLAlchemy", "psycopg"], postgres)
    return Report(page(rates, steps, where), f"{rates}\n{steps}")


def main() -> int:
    parser = cli.options("store", __doc__, FILE, "2 seconds of each")
    parser.add_argument("--seconds", type=float, help="how long each is measured (15)")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, help="how many (1 4 16)")
    parser.set_defaults(partial=lambda args: args.quick or args.seconds or args.clients != CLIENTS)
    return cli.run(parser, measured)
