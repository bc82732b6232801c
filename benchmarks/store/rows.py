"""A PostgreSQL for the store alone, and tables of many rows in it; pgbench."""

import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import machine, ours
from tests.harness.postgres import Postgres, bindirs

URL = "https://sessions.example.org/about?visit=%s"
# Another payload of the same length, as of a session whose oldest visit goes.
ANOTHER = "regexp_replace(:payload, 'v[a-z0-9]{4}=', 'v' || :m || '=', 'g')::json"
SIZES = f"SELECT pg_table_size('{ours.TABLE}'), pg_indexes_size('{ours.TABLE}')"
UPDATES = f"""
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{ours.TABLE}'
"""  # noqa: S608  # ours
WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"


def tuned_postgres(directory: Path, **settings: str) -> Any:
    """With 1 GB of shared buffers; `fsync` stays off: disks are not the question."""
    return machine.postgres(directory, shared_buffers="1GB", max_wal_size="4GB", **settings)


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def numbers(url: str, query: str) -> tuple[int, ...]:
    """The one row that `query` finds."""
    with connect(url) as connection:
        found: tuple[int, ...] | None = connection.execute(query.encode()).fetchone()
    assert found
    return found


def payload(size: int) -> str:
    """JSON text of about `size` bytes that does not compress to nothing: a history of visits."""
    numbers = random.Random(size)  # noqa: S311  # no secret
    entries = max(1, round(size / (len(URL) + 18)))
    urls = ", ".join(f'"{URL % numbers.randbytes(8).hex()}"' for _ in range(entries))
    return f'{{"_csrft_": "{numbers.randbytes(20).hex()}", "history": [{urls}]}}'


def filled(postgres: Postgres, rows: int, size: int, each: int = 0, change: str = "") -> str:
    """The URL of a new database, with so many sessions that have payloads of about `size` bytes.

    `each`: how many sessions an owner has; 0: they have no owners. `change`: SQL that changes the
    table before it is filled.
    """
    url = postgres.create_database("store")
    ours.create_table(url)
    with connect(url) as connection:
        if change:
            connection.execute(change.encode())
        fill(connection, 1, rows, size, each)
        connection.execute(f"VACUUM ANALYZE {ours.TABLE}".encode())
        connection.execute("CHECKPOINT")
    return url


def fill(
    connection: psycopg.Connection[Any], first: int, last: int, size: int, each: int = 0
) -> None:
    """Insert sessions number `first` to `last`."""
    step = 500_000
    for start in range(first, last + 1, step):
        end = min(start + step - 1, last)
        connection.execute(ours.FILL, (payload(size), each, start, end))


def script(url: str, rows: int, file: Path, payload: str = ":payload", **values: str) -> Path:
    """The store's own two statements for pgbench, in `file`.

    `payload` and the other `values` are saved, in SQL; each is what was loaded without one.
    """
    load = ours.FOR_PGBENCH
    save = load | {"record_id": ":id", "payload": payload} | values
    with ours.opened(url) as store:
        texts = [
            ours.with_values(store, "load", load.__getitem__),
            ours.with_values(store, "save", save.__getitem__),
        ]
    one, other = (" ".join(text.split()) for text in texts)
    numbers = f"\\set n random(1, {rows})\n\\set m random(1000, 9999)\n"
    file.write_text(f"{numbers}{one} \\gset\n{other};\n")
    return file


def pgbench(url: str, file: Path, clients: int, *end: str) -> float:
    """Run `file` until the options `end` say; return transactions a second."""
    program = shutil.which("pgbench") or str(bindirs()[0] / "pgbench")
    options = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients)), *end]
    command = [program, *options, "-f", str(file), url.replace("+psycopg", "")]
    output = subprocess.check_output(command, text=True)  # noqa: S603  # ours
    return float(re.findall(r"tps = ([\d.]+)", output)[0])


def latencies(url: str, file: Path, clients: int, *end: str) -> list[float]:
    """Run `file` until the options `end` say; return the microseconds of each transaction."""
    with tempfile.TemporaryDirectory() as directory:
        pgbench(url, file, clients, "--log", f"--log-prefix={directory}/log", *end)
        lines = [line for log in Path(directory).iterdir() for line in log.open()]
    return [float(line.split()[2]) for line in lines]


def each_time(
    once: Callable[[Any], object],
    prepared: Callable[[int], Any],
    rows: int,
    operations: int,
    seed: int = 1,
) -> list[float]:
    """Microseconds of `once` on what is prepared for random rows; a fifth as many warm it up."""
    numbers, taken = random.Random(seed), []  # noqa: S311  # no secret
    for _ in range(operations + operations // 5):
        given = prepared(numbers.randint(1, rows))
        started = time.perf_counter()
        once(given)
        taken.append((time.perf_counter() - started) * 1e6)
    return taken[operations // 5 :]
