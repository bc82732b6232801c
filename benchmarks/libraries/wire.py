"""The wait for PostgreSQL's answer, and values on the wire: ours, and psycopg's own in C."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.generators import execute
from psycopg.types.string import TextBinaryLoader

from benchmarks import ours
from benchmarks.libraries.compare import Row, compare
from benchmarks.store.rows import fill
from sessionsite.sessions.postgresql import PostgreSQLStatement, StoreConnection, _rows
from tests.servers.postgres import Postgres

BINARY = pq.Format.BINARY
JSON, TEXT = 114, 25  # as pg_type numbers them


class Context:
    """Makes psycopg's Transformer leave JSON as text, and have all times in UTC.

    It would take the time zone from a connection; without one it is UTC.
    """

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("json", TextBinaryLoader)


def rows(postgres: Postgres, rounds: int, seconds: float) -> list[Row]:
    url = postgres.create_database("libraries")
    ours.create_table(url)
    fill(url, 100, 700, lambda done, total: None)
    with ours.opened(url) as store, closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        load, save = (ours.statement(store, name) for name in ours.VISIT)
        return [
            *polling(connection, load, rounds, seconds),
            decoding(connection, load, rounds, seconds),
            encoding(connection, load, save, rounds, seconds),
        ]


def _arguments(statement: PostgreSQLStatement, values: dict[str, Any]) -> list[Any]:
    """As PostgreSQLStatement.run makes them."""
    return [
        None if (value := values[name]) is None else encode(value)
        for name, encode in zip(statement.names, statement._encode, strict=True)
    ]


def polling(
    connection: StoreConnection, load: PostgreSQLStatement, rounds: int, seconds: float
) -> list[Row]:
    pgconn = connection.pgconn
    load.run(connection, ours.for_load(1))  # prepared from here on
    arguments = _arguments(load, ours.for_load(1))

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


def decoding(
    connection: StoreConnection, load: PostgreSQLStatement, rounds: int, seconds: float
) -> Row:
    pgconn = connection.pgconn
    pgconn.send_query_prepared(
        load._name, _arguments(load, ours.for_load(1)), load._formats, BINARY
    )
    result: Any = connection.answer()
    transformer = Transformer(Context())

    def theirs() -> list[Any]:
        transformer.set_pgresult(result, format=BINARY)
        return transformer.load_rows(0, result.ntuples, tuple)

    if repr([tuple(row) for row in _rows(result)]) != repr(theirs()):  # the time zones too
        raise RuntimeError(f"{_rows(result)} is not {theirs()}")
    library = "psycopg's Transformer"
    return compare("a row of ten columns", library, lambda: _rows(result), theirs, rounds, seconds)


def encoding(
    connection: StoreConnection,
    load: PostgreSQLStatement,
    save: PostgreSQLStatement,
    rounds: int,
    seconds: float,
) -> Row:
    now = datetime.now(UTC)
    values = ours.for_save(load.run(connection, ours.for_load(1))[0][0], now)
    transformer = Transformer(Context())
    # psycopg's dumper for JSON would serialize the text once more: it has to go as text, which
    # the statement casts
    transformer.set_dumper_types([TEXT if oid == JSON else oid for oid in save._oids], BINARY)

    def theirs() -> Any:
        return transformer.dump_sequence([values[name] for name in save.names], ())

    found = [None if each is None else bytes(each) for each in theirs()]
    if found != _arguments(save, values):
        raise RuntimeError(f"{found} is not {_arguments(save, values)}")
    piece = f"the {len(save.names)} parameters of a save"
    return compare(
        piece,
        "psycopg's Transformer",
        lambda: _arguments(save, values),
        theirs,
        rounds,
        seconds,
    )
