"""The store alone against pgbench with the same statements: `python -m benchmarks.store`.

One transaction is one `load` by key and one `save` by id and version, on a random row. The tables
go to STORE.md. With `growth` as the first word: what a bigger table costs.
"""

import argparse
import multiprocessing
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import cli, machine, ours
from benchmarks.cli import Report, output, progress, say, table
from benchmarks.ours import Store
from benchmarks.store.rows import fill, tuned_postgres
from benchmarks.store.steps import STEPS, timed
from tests.servers.postgres import bindirs

FILE = Path(__file__).parent / "STORE.md"
ROWS = 10_000
CLIENTS = (1, 4, 16)
TURNS = 3


@dataclass(frozen=True)
class Rate:
    per_second: float
    cpu: float
    """Microseconds of the client's, for each."""


def work(store: Store, seed: int, goes_on: Callable[[], bool]) -> int:
    """Load and save random rows while `goes_on`; return how many saves were done."""
    numbers = random.Random(seed)  # noqa: S311  # no secret
    saved = 0
    while goes_on():
        saved += ours.visit(store, numbers.randint(1, ROWS))
    return saved


def warm_up(store: Store, seed: int) -> None:
    """Connect, and have the statements prepared."""
    left = iter(range(20))
    work(store, seed, lambda: next(left, None) is not None)


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
            process.kill()
            process.join()


def threads(url: str, count: int, seconds: float) -> Rate:
    """`count` threads of one process, on a pool with a connection for each."""
    saved = [0] * count
    barrier = threading.Barrier(count + 1)
    end = [0.0]

    with ours.opened(url, count) as store:

        def one(index: int) -> None:
            warm_up(store, index)
            barrier.wait()
            saved[index] = work(store, index, lambda: time.monotonic() < end[0])

        running = [threading.Thread(target=one, args=(index,)) for index in range(count)]
        for thread in running:
            thread.start()
        before, started = time.process_time(), time.monotonic()
        end[0] = started + seconds
        barrier.wait()
        for thread in running:
            thread.join()
        cpu, took = time.process_time() - before, time.monotonic() - started
    return Rate(sum(saved) / took, cpu / max(1, sum(saved)) * 1e6)


def _process(url: str, index: int, seconds: float, ready: Any, results: Any) -> None:
    with ours.opened(url) as store:
        warm_up(store, index)
        ready.wait(60)
        before, end = time.process_time(), time.monotonic() + seconds
        saved = work(store, index, lambda: time.monotonic() < end)
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


def script(store: Store) -> str:
    """The store's own two statements, for pgbench."""
    texts = [ours.with_values(store, name, ours.FOR_PGBENCH.__getitem__) for name in ours.VISIT]
    load, save = (" ".join(text.split()) for text in texts)
    return f"\\set n random(1, {ROWS})\n{load} \\gset\n{save};\n"


def pgbench(url: str, count: int, seconds: float, file: Path) -> float:
    """Transactions a second."""
    program = shutil.which("pgbench") or str(bindirs()[0] / "pgbench")
    options = ["-n", "-M", "prepared", "-c", str(count), "-j", str(min(2, count))]
    plain = url.replace("+psycopg", "")
    duration = str(max(1, round(seconds)))
    text = output([program, *options, "-T", duration, "-f", file, "-d", plain])
    return float(re.findall(r"tps = ([\d.]+)", text)[0])


def as_rates(url: str, clients: Sequence[int], seconds: float, file: Path) -> str:
    rows = []
    for count in clients:
        say(f"{count} clients: pgbench, threads, processes\n")
        bench = pgbench(url, count, seconds, file)
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
        walls["pgbench"].append(1e6 / pgbench(url, 1, each, file))
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
            file.write_text(script(store))
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
