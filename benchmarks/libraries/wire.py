"""The wait for PostgreSQL's answer: ours, and psycopg's own, in C."""

from contextlib import ExitStack, closing
from typing import Any

import psycopg
from psycopg.generators import execute
from psycopg.pq import Format

from benchmarks import ours
from benchmarks.libraries import Piece
from benchmarks.store.rows import filled
from tests.harness.postgres import Postgres


def pieces(postgres: Postgres, exits: ExitStack) -> list[Piece]:
    store = exits.enter_context(ours.opened(filled(postgres, 100, 700)))
    pooled = exits.enter_context(closing(store.engine.raw_connection()))
    connection: Any = pooled.dbapi_connection
    load = ours.statement(store, "load")
    load.run(connection, ours.for_load(1))  # prepared from here on
    values = ours.for_load(1)
    arguments = load._encoder(connection).dump_sequence([values[n] for n in load.names], ())

    def send() -> None:
        connection.pgconn.send_query_prepared(load._name, arguments, load._formats, Format.BINARY)

    def by_hand() -> None:
        send()
        connection.answer()

    def bounded() -> None:
        send()
        connection.wait(execute(connection.pgconn))

    def unbounded() -> None:
        send()
        psycopg.Connection.wait(connection, execute(connection.pgconn))

    piece = "the wait for an answer: one prepared SELECT by key"
    return [
        (piece, "psycopg's generators, no time-out", by_hand, unbounded),
        (piece, "the same with our time-out", by_hand, bounded),
    ]
