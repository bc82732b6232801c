"""Does the server's memory grow? `python -m benchmarks.speed.memory`.

Our site on PostgreSQL serves 100,000 page visits to 10,000 visitors, and its memory is read after
every 10,000. The table goes to MEMORY.md.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import psutil

from benchmarks import cli, machine
from benchmarks.browser import PAGES, Browser
from benchmarks.cli import Blocks, say, table
from benchmarks.peers.stacks import STACKS
from benchmarks.peers.stores import Stores

CLIENTS = 8
ROUNDS = 10


def visit(port: int, visitors: Sequence[Browser], seed: int) -> None:
    """As many requests as there are visitors, each by any of them for any page."""
    numbers = random.Random(seed)  # noqa: S311  # no secret
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in visitors:
        path = numbers.choice(PAGES)
        answer = numbers.choice(visitors).get(path, over=connection)
        if answer.status != 200 or b"<ol>" not in answer.body:
            raise RuntimeError(f"GET {path}: {answer.status}")
    connection.close()


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    visitors = 400 if args.quick else 10_000
    with ExitStack() as exits:
        stores, stack = Stores(directory, exits), STACKS["sessionsite"]
        site = exits.enter_context(stack.start(stores.url(stack), directory))
        threads = exits.enter_context(ThreadPoolExecutor(CLIENTS))
        process = psutil.Process(site.pid)
        browsers = [Browser(site.port) for _ in range(visitors)]
        # Each thread has visitors of its own: two requests of one never meet.
        parts = [browsers[number::CLIENTS] for number in range(CLIENTS)]
        rows, resident = [], []
        for number in range(ROUNDS + 1):
            memory = process.memory_full_info()
            resident.append(memory.rss / 2**20)
            mib = [f"{each / 2**20:.1f}" for each in (memory.rss, memory.uss)]
            rows.append([f"{number * visitors:,}", *mib, process.num_threads()])
            say(" ".join(map(str, rows[-1])))
            if number < ROUNDS:
                seeds = [number * CLIENTS + each for each in range(CLIENTS)]
                list(threads.map(visit, [site.port] * CLIENTS, parts, seeds))
        where = machine.description(stores.postgres)
    grown, late = (max(resident[n + 1 :]) - resident[n] for n in (1, ROUNDS // 2))
    head = ["requests", "resident, MiB", "of these its own, MiB", "threads"]
    told = f"After the first round the process grew by {grown:.1f} MiB at most, {late:.1f} of "
    told += "them in the second half.\n"
    return {"memory": f"{table(head, rows)}\n{told}\n{where}"}


if __name__ == "__main__":
    file = Path(__file__).parent / "MEMORY.md"
    sys.exit(cli.run(cli.options("speed.memory", __doc__, file), measure))
