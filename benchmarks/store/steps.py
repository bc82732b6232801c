"""One load and one save, from libpq's bare calls up to the store: for benchmarks/store.py."""

import hashlib
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.string import TextLoader

from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.statements import COLUMNS

Once = Callable[[bytes], None]
Run = Callable[[str, dict[str, Any]], Sequence[Sequence[Any]]]
"""Runs a statement, given by its name and values; returns the rows."""
Step = Callable[[SQLAlchemyStore, str, int, float], tuple[float, float]]
NAMES = ("load", "save")


def secret(number: int) -> bytes:
    """What a cookie would hold for row `number`."""
    return number.to_bytes(32, "big")


def key(number: int) -> bytes:
    return hashlib.sha256(secret(number)).digest()


def with_values(store: SQLAlchemyStore, name: str, value: Callable[[str], str]) -> str:
    """The text of a statement of the store's; `value` gives what stands for each parameter."""
    statement: Any = store._statements[name]
    return re.sub(
        r"\$(\d+)",  # as a whole: $1 is the beginning of $10
        lambda found: value(statement.names[int(found[1]) - 1]),
        statement.sql.decode(),
    )


def _timed(once: Once, rows: int, seconds: float) -> tuple[float, float]:
    """Microseconds of each, by the clock and by this process's CPU."""
    numbers = random.Random(1)  # noqa: S311  # no secret
    count = 0
    for number in range(1, 50):  # until everything is prepared
        once(key(number))
    cpu, started = time.process_time(), time.perf_counter()
    while time.perf_counter() < started + seconds:
        once(key(numbers.randint(1, rows)))
        count += 1
    took, used = time.perf_counter() - started, time.process_time() - cpu
    return took / count * 1e6, used / count * 1e6


def libpq(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    connection = pq.PGconn.connect(url.replace("+psycopg", "").encode())
    statements: dict[str, Any] = {name: store._statements[name] for name in NAMES}
    for name, statement in statements.items():
        connection.prepare(name.encode(), statement.sql)

    def run(name: str, values: dict[str, Any]) -> Any:
        arguments = [values[each] for each in statements[name].names]
        result = connection.exec_prepared(name.encode(), arguments)
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise RuntimeError(connection.error_message)
        return result

    def once(key: bytes) -> None:
        now = datetime.now(UTC).isoformat().encode()
        row = run("load", {"key": b"\\x" + key.hex().encode(), "now": now})
        values = [row.get_value(0, index) for index in range(len(COLUMNS))]
        run("save", _changed(values, now))

    try:
        return _timed(once, rows, seconds)
    finally:
        connection.finish()


def _changed(row: Sequence[Any], now: Any) -> dict[str, Any]:
    """What `save` is given for a row that `load` has found."""
    found = dict(zip(COLUMNS, row, strict=True))
    return {
        "record_id": found["id"],
        "expected_version": found["version"],
        "payload": found["payload"],
        "expires_at": found["expires_at"],
        "seen_at": now,
        "now": now,
    }


def _by(run: Run) -> Once:
    """One load and one save, of Python objects."""

    def once(key: bytes) -> None:
        now = datetime.now(UTC)
        rows = run("load", {"key": key, "now": now})
        run("save", _changed(rows[0], now))

    return once


def psycopg_cursor(
    store: SQLAlchemyStore, url: str, rows: int, seconds: float
) -> tuple[float, float]:
    texts: dict[str, Any] = {name: with_values(store, name, "%({})s".format) for name in NAMES}
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.adapters.register_loader("json", TextLoader)
        with connection.cursor() as cursor:

            def run(name: str, values: dict[str, Any]) -> Sequence[Sequence[Any]]:
                cursor.execute(texts[name], values)
                return cursor.fetchall() if cursor.description else []

            return _timed(_by(run), rows, seconds)


def statements(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    with closing(store.engine.raw_connection()) as pooled:
        connection = pooled.dbapi_connection

        def run(name: str, values: dict[str, Any]) -> Sequence[Sequence[Any]]:
            return store._statements[name].run(connection, values)[0]

        return _timed(_by(run), rows, seconds)


def pool(store: SQLAlchemyStore, url: str, rows: int, seconds: float) -> tuple[float, float]:
    connections: Any = store.engine.pool

    def run(name: str, values: dict[str, Any]) -> Sequence[Sequence[Any]]:
        pooled = connections.lend()
        rows = store._statements[name].run(pooled.dbapi_connection, values)[0]
        connections.take_back(pooled)
        return rows

    return _timed(_by(run), rows, seconds)


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
    "the store's statements: the same objects, and a client-side time-out": statements,
    "a connection of the pool for each statement": pool,
    "the whole store: records, the look-out for outages": whole,
}
