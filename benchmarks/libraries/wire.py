"""The wait for PostgreSQL's answer: ours, and psycopg's own, in C."""

from contextlib import closing
from typing import Any

import psycopg
from psycopg import pq
from psycopg.generators import execute

from benchmarks import ours
from benchmarks.libraries.compare import Row, compare
from benchmarks.store.rows import fill
from sessionsite.sessions.sql.libpq import PostgreSQLStatement, StoreConnection
from tests.harness.postgres import Postgres

BINARY = pq.Format.BINARY


def rows(postgres: Postgres, rounds: int, seconds: float) -> list[Row]:
    url = postgres.create_database("libraries")
    ours.create_table(url)
    fill(url, 100, 700, lambda done, total: None)
    with ours.opened(url) as store, closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        return polling(connection, ours.statement(store, "load"), rounds, seconds)


def polling(
    connection: StoreConnection, load: PostgreSQLStatement, rounds: int, seconds: float
) -> list[Row]:
    pgconn = connection.pgconn
    load.run(connection, ours.for_load(1))  # prepared from here on
    values = ours.for_load(1)
    arguments = load._encoder(connection).dump_sequence([values[n] for n in load.names], ())

    def send() -> None:
        pgconn.send_query_prepared(load._name, arguments, load._formats, BINARY)

    def by_hand() -> None:
        send()
        connection.answer()

    def bounded() -> None:
        send()
        connection.wait(execute(pgconn))

    def unbounded() -> None:
        send()
        psycopg.Connection.wait(connection, execute(pgconn))

    piece = "the wait for an answer: one prepared SELECT by key"
    return [
        compare(piece, "psycopg's generators, no time-out", by_hand, unbounded, rounds, seconds),
        compare(piece, "the same with our time-out", by_hand, bounded, rounds, seconds),
    ]
