"""One load and one save, from libpq's bare calls up to the store."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.string import TextLoader

from benchmarks import ours
from benchmarks.ours import Store

Once = Callable[[int], object]
"""One load and one save, of the row that has this number."""
Run = Callable[[str, dict[str, Any]], Any]
"""Runs a statement, given by its name and values; returns the rows."""


def timed(once: Once, rows: int, seconds: float) -> tuple[float, float]:
    """Microseconds of each, by the clock and by this process's CPU."""
    numbers = random.Random(1)  # noqa: S311  # no secret
    for number in range(1, 50):  # until everything is prepared
        once(number)
    cpu, started, count = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        once(numbers.randint(1, rows))
        count += 1
    took, used = time.perf_counter() - started, time.process_time() - cpu
    return took / count * 1e6, used / count * 1e6


def _by(run: Run) -> Once:
    """One load and one save, of Python objects."""

    def once(number: int) -> None:
        values = ours.for_load(number)
        run("save", ours.for_save(run("load", values)[0], values["now"]))

    return once


def libpq(store: Store, url: str, exits: ExitStack) -> Once:
    connection = pq.PGconn.connect(url.replace("+psycopg", "").encode())
    for name in ("load", "save"):
        connection.prepare(name.encode(), ours.statement(store, name).sql)

    def run(name: str, values: dict[str, Any]) -> Any:
        arguments = [values[each] for each in ours.statement(store, name).names]
        result = connection.exec_prepared(name.encode(), arguments)
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise RuntimeError(connection.error_message)
        return result

    def once(number: int) -> None:
        now = datetime.now(UTC).isoformat().encode()
        row = run("load", {"record_id": ours.row_id(number).encode(), "now": now})
        run("save", ours.for_save([row.get_value(0, i) for i in range(row.nfields)], now))

    exits.callback(connection.finish)
    return once


def cursor(store: Store, url: str, exits: ExitStack) -> Once:
    texts: dict[str, Any] = {
        name: ours.with_values(store, name, "%({})s".format) for name in ("load", "save")
    }
    url = url.replace("+psycopg", "")
    connection = exits.enter_context(psycopg.connect(url, autocommit=True))
    connection.adapters.register_loader("json", TextLoader)
    cursor = exits.enter_context(connection.cursor())

    def run(name: str, values: dict[str, Any]) -> Any:
        cursor.execute(texts[name], values)
        return cursor.fetchall() if cursor.description else []

    return _by(run)


def statements(store: Store, url: str, exits: ExitStack) -> Once:
    connection = exits.enter_context(closing(store.engine.raw_connection())).dbapi_connection
    return _by(lambda name, values: ours.statement(store, name).run(connection, values)[0])


def pool(store: Store, url: str, exits: ExitStack) -> Once:
    def run(name: str, values: dict[str, Any]) -> Any:
        with ours.lent(store) as connection:
            return ours.statement(store, name).run(connection, values)[0]

    return _by(run)


def whole(store: Store, url: str, exits: ExitStack) -> Once:
    return lambda number: ours.visit(store, number)


STEPS: dict[str, Callable[[Store, str, ExitStack], Once]] = {
    "libpq's prepared statements, called from Python": libpq,
    "psycopg's cursor: parameters and rows as Python objects": cursor,
    "the store's statements: the same objects, and a client-side time-out": statements,
    "a connection of the pool for each statement": pool,
    "the whole store: records, the look-out for outages": whole,
}
