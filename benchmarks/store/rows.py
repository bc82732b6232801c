"""A PostgreSQL for the store alone, and tables of many rows in it; pgbench."""

import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import ours
from benchmarks.cli import output
from tests.harness.postgres import Postgres, bindirs, start_postgres

URL = "https://sessions.example.org/about?visit=%s"


def payload(size: int) -> str:
    """JSON text of about `size` bytes that does not compress to nothing: a history of visits."""
    numbers = random.Random(size)  # noqa: S311  # no secret
    entries = max(1, round(size / (len(URL) + 18)))
    urls = ", ".join(f'"{URL % numbers.randbytes(8).hex()}"' for _ in range(entries))
    return f'{{"_csrft_": "{numbers.randbytes(20).hex()}", "history": [{urls}]}}'


def fill(url: str, rows: int, size: int, show: Callable[[int, int], None]) -> None:
    """Add `rows` sessions with payloads of about `size` bytes."""
    step = 500_000
    with connect(url) as connection:
        for done in range(0, rows, step):
            last = min(done + step, rows)
            connection.execute(ours.FILL, (payload(size), done + 1, last))
            show(last, rows)


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@contextmanager
def tuned_postgres(directory: Path) -> Iterator[Postgres]:
    """A PostgreSQL with 1 GB of shared buffers, and `fsync` off: disks are not the question."""
    with start_postgres(directory) as postgres:
        with postgres.connect() as connection:
            for setting in ("shared_buffers = '1GB'", "max_wal_size = '4GB'"):
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        postgres.stop()
        postgres.start()
        yield postgres


def script(store: ours.Store, rows: int, payload: str = ":payload") -> str:
    """The store's own two statements, for pgbench; `payload` is what is saved, in SQL."""
    values = ours.FOR_PGBENCH | {"payload": payload}
    texts = [ours.with_values(store, name, values.__getitem__) for name in ours.VISIT]
    load, save = (" ".join(text.split()) for text in texts)
    return f"\\set n random(1, {rows})\n\\set m random(1000, 9999)\n{load} \\gset\n{save};\n"


def pgbench(
    url: str, file: Path, clients: int, *, seconds: float = 0, transactions: int = 0
) -> float:
    """Run `file` for some seconds, or so often per client; return transactions per second."""
    program = shutil.which("pgbench") or str(bindirs()[0] / "pgbench")
    options = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients))]
    end = f"-t{transactions}" if transactions else f"-T{max(1, round(seconds))}"
    plain = url.replace("+psycopg", "")
    text = output([program, *options, end, "-f", file, "-d", plain])
    return float(re.findall(r"tps = ([\d.]+)", text)[0])
