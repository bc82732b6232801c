"""A PostgreSQL for the store alone, and tables of many rows in it; pgbench."""

import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import machine, ours
from tests.harness.postgres import Postgres, bindirs

URL = "https://sessions.example.org/about?visit=%s"


def tuned_postgres(directory: Path) -> Any:
    """With 1 GB of shared buffers; `fsync` stays off: disks are not the question."""
    return machine.postgres(directory, shared_buffers="1GB", max_wal_size="4GB")


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def payload(size: int) -> str:
    """JSON text of about `size` bytes that does not compress to nothing: a history of visits."""
    numbers = random.Random(size)  # noqa: S311  # no secret
    entries = max(1, round(size / (len(URL) + 18)))
    urls = ", ".join(f'"{URL % numbers.randbytes(8).hex()}"' for _ in range(entries))
    return f'{{"_csrft_": "{numbers.randbytes(20).hex()}", "history": [{urls}]}}'


def filled(postgres: Postgres, rows: int, size: int, each: int = 0) -> str:
    """The URL of a new database, with so many sessions that have payloads of about `size` bytes.

    `each`: how many sessions an owner has; 0: they have no owners.
    """
    url = postgres.create_database("store")
    ours.create_table(url)
    step = 500_000
    with connect(url) as connection:
        for done in range(0, rows, step):
            last = min(done + step, rows)
            connection.execute(ours.FILL, (payload(size), each, done + 1, last))
        connection.execute(f"VACUUM ANALYZE {ours.TABLE}".encode())
        connection.execute("CHECKPOINT")
    return url


def script(url: str, rows: int, file: Path, payload: str = ":payload") -> Path:
    """The store's own two statements for pgbench, in `file`; `payload` is saved, in SQL."""
    load, save = ours.FOR_PGBENCH, ours.FOR_PGBENCH | {"record_id": ":id", "payload": payload}
    with ours.opened(url) as store:
        texts = [
            ours.with_values(store, "load", load.__getitem__),
            ours.with_values(store, "save", save.__getitem__),
        ]
    one, other = (" ".join(text.split()) for text in texts)
    numbers = f"\\set n random(1, {rows})\n\\set m random(1000, 9999)\n"
    file.write_text(f"{numbers}{one} \\gset\n{other};\n")
    return file


def pgbench(url: str, file: Path, clients: int, end: str) -> float:
    """Run `file` until the option `end` says; return transactions a second."""
    program = shutil.which("pgbench") or str(bindirs()[0] / "pgbench")
    options = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients)), end]
    command = [program, *options, "-f", str(file), url.replace("+psycopg", "")]
    output = subprocess.check_output(command, text=True)  # noqa: S603  # ours
    return float(re.findall(r"tps = ([\d.]+)", output)[0])
