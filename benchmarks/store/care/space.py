"""What stays of the file after a flood of short-lived sessions, and how to get it back."""

import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.cli import say, table
from benchmarks.store.care.beside import Visits
from benchmarks.store.rows import SIZES, connect, fill, filled, numbers
from sessionsite.sessions import utc_now
from tests.harness.postgres import Postgres, bindirs

LIVE_SIZE, FLOOD_SIZE = 700, 100  # bytes of payload
LATE = timedelta(hours=11)  # after the end of what `fill` makes
STAY = f"UPDATE {ours.TABLE} SET expires_at = now() + interval '1 day'"  # noqa: S608  # ours
Way = Callable[[Postgres, str], None]


def run(sql: str) -> Way:
    def way(postgres: Postgres, url: str) -> None:
        with connect(url) as connection:
            connection.execute(sql.encode())

    return way


def repack(postgres: Postgres, url: str) -> None:
    run("CREATE EXTENSION IF NOT EXISTS pg_repack")(postgres, url)
    where = ["-h", postgres.host, "-p", str(postgres.port), "-U", postgres.user]
    command = [str(program()), *where, "-d", url.rpartition("/")[2], "-t", ours.TABLE]
    env = os.environ | {"PGPASSWORD": postgres.password}
    subprocess.run(command, check=True, env=env, capture_output=True)  # noqa: S603  # ours


def program() -> Path:
    return bindirs()[0] / "pg_repack"


WAYS: dict[str, Way] = {
    "`VACUUM`": run(f"VACUUM {ours.TABLE}"),
    "`REINDEX TABLE CONCURRENTLY`": run(f"REINDEX TABLE CONCURRENTLY {ours.TABLE}"),
    "`pg_repack`": repack,
    "`VACUUM FULL`": run(f"VACUUM FULL {ours.TABLE}"),
}


def sizes(url: str) -> list[str]:
    return [f"{each / 1e6:.1f}" for each in numbers(url, SIZES)]


def measure(postgres: Postgres, quick: bool) -> tuple[str, str]:
    """What each step of a flood leaves; and each way to get the space back, on a copy of its own.

    Autovacuum is off, so that each vacuum is one of the table's lines.
    """
    live, flood = (500, 5_000) if quick else (20_000, 1_000_000)
    off = f"ALTER TABLE {ours.TABLE} SET (autovacuum_enabled = false)"
    url = filled(postgres, live, LIVE_SIZE, change=off)
    lines: list[list[Any]] = []
    run(STAY)(postgres, url)
    run(f"VACUUM FULL {ours.TABLE}")(postgres, url)

    def step(name: str, work: Callable[[], object]) -> None:
        say(f"a flood: {name}")
        with Visits(url, live) as visits:
            work()
        lines.append([name, f"{visits.seconds:.1f}", visits.longest(), *sizes(url)])

    def come(first: int) -> None:
        with connect(url) as connection:
            fill(connection, first, first + flood - 1, FLOOD_SIZE)

    def prune() -> None:
        with ours.opened(url, timeout=60) as store:
            while store.prune(utc_now() + LATE, 1_000):
                pass

    lines.append([f"{live:,} sessions", "", "", *sizes(url)])
    step(f"{flood:,} more come", lambda: come(live + 1))
    step("they are pruned", prune)
    step("`VACUUM`", lambda: WAYS["`VACUUM`"](postgres, url))
    step("as many come again", lambda: come(live + 1))
    some = f"{STAY} WHERE expires_at < now() + interval '11 hours' AND random() < 0.001"
    step("one in a thousand stays", lambda: run(some)(postgres, url))
    step("the others are pruned", prune)
    bloated = sizes(url)
    copies = ways(postgres, url, live, bloated)
    step("`VACUUM`", lambda: WAYS["`VACUUM`"](postgres, url))
    step("as many come again", lambda: come(live + flood + 1))
    header = ["", "seconds", "longest visit ms", "table MB", "indexes MB"]
    return table(header, lines), copies


def ways(postgres: Postgres, url: str, live: int, bloated: list[str]) -> str:
    lines: list[list[Any]] = [["nothing", "", "", *bloated]]
    for name, way in WAYS.items():
        if way is repack and not program().exists():
            lines.append([name, "not installed", "", "", ""])
            continue
        say(f"a way to get the space back: {name}")
        copy = copied(postgres, url)
        with Visits(copy, live) as visits:
            way(postgres, copy)
        lines.append([name, f"{visits.seconds:.1f}", visits.longest(), *sizes(copy)])
        with postgres.connect() as connection:
            connection.execute(f'DROP DATABASE "{copy.rpartition("/")[2]}" WITH (FORCE)'.encode())
    return table(["", "seconds", "longest visit ms", "table MB", "indexes MB"], lines)


def copied(postgres: Postgres, url: str) -> str:
    """The URL of a copy of a database, file by file."""
    base, _, name = url.rpartition("/")
    copy = f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}" STRATEGY file_copy'
    with postgres.connect() as connection:
        connection.execute(copy.encode())
    return f"{base}/{name}_copy"
