"""Does the server's memory grow? `python -m benchmarks.speed memory`.

`pserve production.ini` on PostgreSQL serves 100,000 page visits to 10,000 visitors, and its memory
is read after every 10,000. The table goes to MEMORY.md.
"""

import argparse
import random
import re
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.browser import PAGES, Browser, connect
from benchmarks.cli import Report, progress, say, table
from benchmarks.peers.install import PRODUCTION
from tests.harness import free_port
from tests.harness.postgres import start_postgres
from tests.harness.pserve import Pserve, start_pserve
from tests.harness.stores import sql_store

FILE = Path(__file__).parent / "MEMORY.md"
CLIENTS = 8
ROUNDS = 10
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    requests: int
    resident: int
    own: int
    """Resident memory that no other process shares."""
    threads: int


def sample(server: Pserve, requests: int) -> Sample:
    """What Linux says of the process's memory."""
    process = Path("/proc", str(server.pid))
    text = (process / "smaps_rollup").read_text() + (process / "status").read_text()
    found = {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}
    own = found["Private_Clean"] + found["Private_Dirty"]
    return Sample(requests, found["Rss"] * 1024, own * 1024, found["Threads"])


def visit(port: int, visitors: Sequence[Browser], seed: int) -> None:
    """As many requests as there are visitors, each by any of them for any page."""
    numbers = random.Random(seed)  # noqa: S311  # no secret
    connection = connect(port)
    for _ in visitors:
        path = numbers.choice(PAGES)
        answer = numbers.choice(visitors).get(path, over=connection)
        if answer.status != 200 or b"<ol>" not in answer.body:
            raise RuntimeError(f"GET {path}: {answer.status}")
    connection.close()


def samples(visitors: int, directory: Path, url: str) -> list[Sample]:
    """Ten rounds of as many requests as visitors; a sample before the first, and after each."""
    port = free_port()
    env = {"DATABASE_URL": url, "SESSION_SECRET": secrets.token_urlsafe(32)}
    args = ["--server-name=worker", f"http_port={port}"]
    browsers = [Browser(port) for _ in range(visitors)]
    # Each thread has visitors of its own: no two requests of one visitor run at once.
    parts = [browsers[number::CLIENTS] for number in range(CLIENTS)]
    with (
        start_pserve(PRODUCTION, env=env, args=args, directory=directory) as server,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        found = [sample(server, 0)]
        for number in range(ROUNDS):
            show = progress(f"round {number + 1} of {ROUNDS}, requests")
            futures = [
                threads.submit(visit, port, part, number * CLIENTS + each)
                for each, part in enumerate(parts)
            ]
            for future in futures:
                future.result()
            show(visitors, visitors)
            found.append(sample(server, (number + 1) * visitors))
            say(f"resident: {found[-1].resident / MIB:.1f} MiB\n")
    return found


def growth(samples: Sequence[Sample], start: int) -> float:
    """MiB between the round `start` and the highest of the later ones."""
    later = samples[start + 1 :]
    return (max(s.resident for s in later) - samples[start].resident) / MIB


def as_table(samples: Sequence[Sample]) -> str:
    rows = [
        [f"{s.requests:,}", f"{s.resident / MIB:.1f}", f"{s.own / MIB:.1f}", s.threads]
        for s in samples
    ]
    return table(["requests", "resident, MiB", "of these its own, MiB", "threads"], rows)


def page(visitors: int, samples: Sequence[Sample], where: str) -> str:
    return f"""# Memory

Written by `python -m benchmarks.speed memory` (`make bench-memory`). `pserve production.ini`, one
process, on PostgreSQL: {visitors * ROUNDS:,} page visits of {visitors:,} visitors, {CLIENTS} at a
time, each by a random visitor to a random page, so that sessions begin and go on throughout.
Resident is what Linux counts for the process, shared libraries included.

{as_table(samples)}
After the first {visitors:,} requests the process grew by {growth(samples, 1):.1f} MiB at most
({growth(samples, 1) * MIB / samples[1].resident:.1%}), {growth(samples, ROUNDS // 2):.1f} of
them in the second half. Sessions and pages grow meanwhile, up to the 20 visits of a full history.

{where}"""


def measured(args: argparse.Namespace, directory: Path) -> Report:
    visitors = 1000 if args.quick else 10_000
    with start_postgres(directory) as postgres:
        url = postgres.create_database("memory")
        sql_store(url).engine.dispose()
        found = samples(visitors, directory, url)
        where = machine.in_short(["pyramid", "waitress", "SQLAlchemy", "psycopg"], postgres)
    grew = f"after the first round it grew by {growth(found, 1):.1f} MiB at most\n"
    return Report(page(visitors, found, where), as_table(found) + grew)


def main() -> int:
    return cli.run(cli.options("speed memory", __doc__, FILE, "a tenth of it"), measured)
