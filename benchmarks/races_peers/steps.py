"""One load and one save, from libpq's bare calls up to the store: for benchmarks/store.py."""

import hashlib
import random
import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.string import TextLoader

from sessionsite.sessions.sql import SQLAlchemyStore

Once = Callable[[bytes], None]
Step = Callable[[SQLAlchemyStore, str, int, float], tuple[float, float]]
COLUMNS = ("id", "key", "payload", "version", "created_at", "seen_at", "expires_at")


def _timed(once: Once, rows: int, seconds: float) -> tuple[float, float]:
    """Microseconds of each, by the clock and by this process's CPU."""
    numbers = random.Random(1)  # noqa: S311  # no secret
    count = 0
    for number in range(1, 50):  # until everything is prepared
        once(hashlib.sha256(number.to_bytes(8, "big")).digest())
    cpu, started = time.process_time(), time.perf_counter()
    while time.perf_counter() < started + seconds:
        once(hashlib.sha256(numbers.randint(1, rows).to_bytes(8, "big")).digest())
        count += 1
    took, used = time.perf_counter() - started, time.process_time() - cpu
    return took / count * 1e6, used / count * 1e6


def _plain(store: SQLAlchemyStore, name: str) -> tuple[bytes, list[str]]:
    """A statement of the store's with libpq's $1, $2, and the names of its parameters."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)s", number, store._statements[name][0]).encode(), names


def libpq(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    connection = pq.PGconn.connect(url.replace("+psycopg", "").encode())
    orders = {}
    for name in ("load", "save"):
        text, names = _plain(store, name)
        orders[name] = names
        connection.prepare(name.encode(), text)

    def run(name: str, values: dict[str, bytes]) -> Any:
        result = connection.exec_prepared(name.encode(), [values[each] for each in orders[name]])
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise RuntimeError(connection.error_message)
        return result

    def once(key: bytes) -> None:
        now = datetime.now(UTC).isoformat().encode()
        row = run("load", {"key": b"\\x" + key.hex().encode(), "now": now})
        found = {name: row.get_value(0, index) for index, name in enumerate(COLUMNS)}
        new = {"record_id": found["id"], "expected_version": found["version"]}
        kept = {"payload": found["payload"], "expires_at": found["expires_at"]}
        run("save", {**new, **kept, "now": now, "seen_at": now})

    try:
        return _timed(once, rows, seconds)
    finally:
        connection.finish()


def _values(row: Any, now: datetime) -> dict[str, Any]:
    found = dict(zip(COLUMNS, row, strict=False))
    return {
        "record_id": found["id"],
        "expected_version": found["version"],
        "payload": found["payload"],
        "expires_at": found["expires_at"],
        "seen_at": now,
        "now": now,
    }


def _through(store: SQLAlchemyStore, cursor: Any, key: bytes) -> None:
    statements = store._statements
    now = datetime.now(UTC)
    cursor.execute(statements["load"][0], {**statements["load"][1], "key": key, "now": now})
    values = {**statements["save"][1], **_values(cursor.fetchone(), now)}
    cursor.execute(statements["save"][0], values)


def psycopg_cursor(
    store: SQLAlchemyStore, url: str, rows: int, seconds: float
) -> tuple[float, float]:
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.adapters.register_loader("json", TextLoader)
        with connection.cursor() as cursor:
            return _timed(lambda key: _through(store, cursor, key), rows, seconds)


def bounded(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    with (
        closing(store.engine.raw_connection()) as connection,
        closing(connection.cursor()) as cursor,
    ):
        return _timed(lambda key: _through(store, cursor, key), rows, seconds)


def pooled(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    statements = store._statements

    def run(name: str, values: dict[str, Any]) -> Any:
        with (
            closing(store.engine.raw_connection()) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(statements[name][0], {**statements[name][1], **values})
            return cursor.fetchone() if name == "load" else None

    def once(key: bytes) -> None:
        now = datetime.now(UTC)
        run("save", _values(run("load", {"key": key, "now": now}), now))

    return _timed(once, rows, seconds)


def whole(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    def once(key: bytes) -> None:
        now = datetime.now(UTC)
        record = store.load(key, now)
        assert record is not None
        store.save(replace(record, seen_at=now), record.version, now)

    return _timed(once, rows, seconds)


STEPS: dict[str, Step] = {
    "libpq's prepared statements, called from Python": libpq,
    "psycopg's cursor: parameters and rows as Python objects": psycopg_cursor,
    "the client-side time-out on each wait": bounded,
    "a connection of the pool for each statement": pooled,
    "the store: records, times, the look-out for outages": whole,
}
