"""A PostgreSQL for the store alone, and tables of many rows in it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import ours
from tests.servers.postgres import Postgres, start_postgres

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
