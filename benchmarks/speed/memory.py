"""Does the server's memory grow? `python -m benchmarks.memory`.

`pserve production.ini` on PostgreSQL serves 100,000 page visits to 10,000 visitors, and its memory
is read after every 10,000. The table goes to benchmarks/MEMORY.md.
"""

import argparse
import http.client
import random
import re
import secrets
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Report, progress, say, table
from tests.servers import free_port
from tests.servers.postgres import start_postgres
from tests.servers.pserve import Pserve, start_pserve
from tests.stores import sql_store

PRODUCTION = Path(__file__).parents[1] / "production.ini"
PAGES = ("/", "/about", "/contact")
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
    """What Linux says of it."""
    process = Path("/proc", str(server.pid))
    text = (process / "smaps_rollup").read_text() + (process / "status").read_text()
    found = {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", text, re.M)}
    own = found["Private_Clean"] + found["Private_Dirty"]
    return Sample(requests, found["Rss"] * 1024, own * 1024, found["Threads"])


class Clients:
    """Threads with a connection each, and the cookies of all visitors."""

    def __init__(self, port: int, visitors: int) -> None:
        self._port = port
        self._cookies = [""] * visitors
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(CLIENTS)

    def round(self, seed: int) -> None:
        """As many requests as there are visitors, each by any of them for any page."""
        size = len(self._cookies) // CLIENTS
        # Each thread has visitors of its own: two requests of one never meet.
        work = [range(start, start + size) for start in range(0, size * CLIENTS, size)]
        for future in [self._threads.submit(self._visit, part, seed) for part in work]:
            future.result()

    def _visit(self, visitors: Sequence[int], seed: int) -> None:
        numbers = random.Random(seed + visitors[0])  # noqa: S311  # no secret
        for _ in visitors:
            visitor, path = numbers.choice(visitors), numbers.choice(PAGES)
            headers = {"Cookie": self._cookies[visitor]} if self._cookies[visitor] else {}
            connection = self._connection()
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or b"<ol>" not in body:
                raise RuntimeError(f"GET {path}: {response.status}")
            if cookie := response.headers["Set-Cookie"]:
                self._cookies[visitor] = cookie.partition(";")[0]

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        found: http.client.HTTPConnection = self._own.connection
        return found


def run(visitors: int, directory: Path, url: str) -> list[Sample]:
    """Ten rounds of as many requests as visitors; a sample before the first, and after each."""
    port = free_port()
    env = {"DATABASE_URL": url, "SESSION_SECRET": secrets.token_urlsafe(32)}
    args = ["--server-name=worker", f"http_port={port}"]
    with start_pserve(PRODUCTION, env=env, args=args, directory=directory) as server:
        clients = Clients(port, visitors)
        samples = [sample(server, 0)]
        for number in range(ROUNDS):
            show = progress(f"round {number + 1} of {ROUNDS}, requests")
            clients.round(number * visitors)
            show(visitors, visitors)
            samples.append(sample(server, (number + 1) * visitors))
            say(f"resident: {samples[-1].resident / MIB:.1f} MiB\n")
        return samples


def growth(samples: Sequence[Sample], start: int) -> float:
    """MiB between the round `start` and the highest of the later ones."""
    later = samples[start + 1 :]
    return (max(s.resident for s in later) - samples[start].resident) / MIB


def as_table(samples: Sequence[Sample]) -> str:
    header = ["requests", "resident, MiB", "of these its own, MiB", "threads"]
    return table(
        header,
        [
            [f"{s.requests:,}", f"{s.resident / MIB:.1f}", f"{s.own / MIB:.1f}", s.threads]
            for s in samples
        ],
    )


def page(visitors: int, samples: Sequence[Sample], where: str) -> str:
    first = f"{visitors:,}"
    return f"""# Memory

Written by `python -m benchmarks.memory` (`make bench-memory`). `pserve production.ini`, one
process, on PostgreSQL: {visitors * ROUNDS:,} page visits of {visitors:,} visitors, {CLIENTS} at a
time, each by a random visitor to a random page, so that sessions begin and go on throughout.
Resident is what Linux counts for the process, shared libraries included.

{as_table(samples)}
After the first {first} requests the process grew by {growth(samples, 1):.1f} MiB at most
({growth(samples, 1) * MIB / samples[1].resident:.1%}), {growth(samples, ROUNDS // 2):.1f} of
them in the second half. Sessions and pages grow meanwhile, up to the 20 visits of a full history.

{where}"""


def measured(args: argparse.Namespace, directory: Path) -> Report:
    visitors = 1000 if args.quick else 10_000
    with start_postgres(directory) as postgres:
        url = postgres.create_database("memory")
        sql_store(url).engine.dispose()
        samples = run(visitors, directory, url)
        where = machine.in_short(postgres, ["pyramid", "waitress", "SQLAlchemy", "psycopg"])
    grew = f"after the first round it grew by {growth(samples, 1):.1f} MiB at most\n"
    return Report(page(visitors, samples, where), as_table(samples) + grew)


if __name__ == "__main__":
    options = cli.options("memory", __doc__, quick="a tenth of it, and no file")
    sys.exit(cli.run(options, measured))
