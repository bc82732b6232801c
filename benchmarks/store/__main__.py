"""The store alone against pgbench with the same statements: `python -m benchmarks.store`.

One transaction is one `load` by key and one `save` by id and version, on a random row. The tables
go to STORE.md.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import cli, machine, ours
from benchmarks.cli import Blocks, say, table
from benchmarks.ours import Store
from benchmarks.store.rows import filled, pgbench, script, tuned_postgres
from benchmarks.store.steps import STEPS, timed

ROWS = 10_000
TURNS = 3
START = 2  # seconds in which all clients connect and have their statements prepared


def client(store: Store, index: int, begin: float, seconds: float) -> tuple[int, float]:
    """Load and save random rows from the time `begin` on; return how many, and the CPU seconds."""
    numbers = random.Random(index)  # noqa: S311  # no secret
    for _ in range(20):
        ours.visit(store, numbers.randint(1, ROWS))
    time.sleep(max(0, begin - time.time()))
    cpu, saved = time.thread_time(), 0
    while time.time() < begin + seconds:
        saved += ours.visit(store, numbers.randint(1, ROWS))
    return saved, time.thread_time() - cpu


def own_client(url: str, index: int, begin: float, seconds: float) -> tuple[int, float]:
    with ours.opened(url) as store:
        return client(store, index, begin, seconds)


def compared(found: Iterable[tuple[int, float]], seconds: float, bench: float) -> list[str]:
    """Transactions a second, the same of pgbench's, microseconds of the clients' CPU for each."""
    saved, cpu = (sum(each) for each in zip(*found, strict=True))
    rate = saved / seconds
    return [f"{rate:,.0f}", f"{rate / bench:.2f}", f"{cpu / max(1, saved) * 1e6:.0f}"]


def rates(url: str, file: Path, clients: tuple[int, ...], seconds: float) -> str:
    rows = []
    for count in clients:
        say(f"{count} clients: pgbench, threads, processes")
        bench = pgbench(url, file, count, f"-T{seconds:.0f}")
        with ours.opened(url, count) as store, ThreadPoolExecutor(count) as threads:
            work = partial(client, store, begin=time.time() + START, seconds=seconds)
            one = compared(threads.map(work, range(count)), seconds, bench)
        with ProcessPoolExecutor(count, multiprocessing.get_context("fork")) as processes:
            work = partial(own_client, url, begin=time.time() + START, seconds=seconds)
            other = compared(processes.map(work, range(count)), seconds, bench)
        rows.append([count, f"{bench:,.0f}", *one, *other])
    header = ["clients", "pgbench /s", "threads /s", "of pgbench", "CPU µs"]
    return table([*header, "processes /s", "of pgbench", "CPU µs"], rows)


def steps(url: str, file: Path, seconds: float) -> str:
    """The table of `STEPS`, each the median of its turns."""
    found: dict[str, list[tuple[float, float]]] = {}
    with ours.opened(url) as store:
        for turn in range(TURNS):
            say(f"one client, step by step: turn {turn + 1} of {TURNS}")
            rate = pgbench(url, file, 1, f"-T{max(1, seconds / TURNS):.0f}")
            found.setdefault("pgbench", []).append((1e6 / rate, 0))
            for name, step in STEPS.items():
                with ExitStack() as exits:
                    taken = timed(step(store, url, exits), ROWS, seconds / TURNS)
                found.setdefault(name, []).append(taken)
    rows, last = [], 0.0
    for name, turns in found.items():
        wall, cpu = (median(each) for each in zip(*turns, strict=True))
        more = [f"{wall - last:+.0f}", f"{cpu:.0f}"] if last else ["", ""]
        rows.append([name, f"{wall:.0f}", *more])
        last = wall
    return table(["one client", "µs", "more", "client's CPU µs"], rows)


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    seconds, clients = (1, (1,)) if args.quick else (15, (1, 4, 16))
    with tuned_postgres(directory) as postgres:
        url = filled(postgres, ROWS, 700)
        file = script(url, ROWS, directory / "store.sql")
        return {
            "rates": rates(url, file, clients, seconds),
            "steps": steps(url, file, seconds),
            "machine": machine.description(postgres),
        }


if __name__ == "__main__":
    file = Path(__file__).parent / "STORE.md"
    sys.exit(cli.run(cli.options("store", __doc__, file), measure))
