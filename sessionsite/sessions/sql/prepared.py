"""The store's statements on libpq: prepared once per connection, values in binary format.

psycopg's codecs in C send and read the values.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import psycopg
import sqlalchemy as sa
from psycopg import abc
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from psycopg.pq import Format
from psycopg.pq.abc import PGresult
from psycopg.types.string import TextBinaryLoader
from sqlalchemy.dialects.postgresql.base import PGDialect

from ..store import MalformedRecordError, StoreError
from .libpq import StalePlanError, StoreConnection
from .values import UTCDateTime, one_line

_BINARY = Format.BINARY
_LOST = (InvalidSqlStatementName, DuplicatePreparedStatement)
UNPREPARED = (*_LOST, StalePlanError)
"""What is raised where a prepared statement is lost, by a pooler, or stale; nothing was run."""


class _JSONBLoader(Loader):
    """Reads a column that the operator has changed to `jsonb`.

    PostgreSQL gives it with spaces, so that each session would look changed, and be written.
    """

    format = _BINARY

    def load(self, data: abc.Buffer) -> str:
        return json.dumps(json.loads(bytes(data[1:])), separators=(",", ":"))  # after a version


class _ZonelessLoader(Loader):
    """Refuses what would be read as another instant wherever the server's zone is not UTC."""

    format = _BINARY

    def load(self, data: abc.Buffer) -> NoReturn:
        raise StoreError(
            "a column of the table is a timestamp without time zone: ALTER TABLE ... ALTER COLUMN "
            "... TYPE timestamptz"
        )


class _Context:
    """Has psycopg's codecs leave JSON as the text it is.

    They take the time zone of times from a connection; there is none here, and times are in UTC.
    """

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("json", TextBinaryLoader)
        self.adapters.register_loader("jsonb", _JSONBLoader)
        self.adapters.register_loader("timestamp", _ZonelessLoader)


_CONTEXT: Any = _Context()
_JSON, _TEXT = 114, 25
# What the parameters of an SQL type are declared as (pg_type.oid).
_OIDS: tuple[tuple[type[sa.types.TypeEngine[Any]], int], ...] = (
    (sa.JSON, _JSON),
    (sa.Text, _TEXT),
    (sa.LargeBinary, 17),
    (sa.Boolean, 16),
    (sa.BigInteger, 20),  # which is an Integer as well
    (sa.Integer, 23),
    (sa.Float, 701),
    (UTCDateTime, 1184),
)


class Begin:
    """Begins a transaction; `for_change`: one in which a change of the app's is called."""

    def __init__(self, *, for_change: bool) -> None:
        self._for_change = for_change

    def run(
        self,
        connection: StoreConnection,
        _values: Mapping[str, Any],
        *,
        skip_malformed: bool = False,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        limits = connection.limits
        connection.begin(limits.change if self._for_change else limits.idle)
        return (), 0


class PostgreSQLStatement:
    """A statement described in SQLAlchemy, prepared on each connection that it is run on."""

    def __init__(self, name: str, statement: Any) -> None:
        dialect: sa.Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled).encode()
        # A pooler shares its connections between programs, also of several versions and tables.
        number = hashlib.sha256(self.sql).hexdigest()[:8]
        self._name = f"sessionsite_{name}_{number}".encode()
        self._is_whole = not isinstance(statement, sa.TextClause)  # no COMMIT, no ROLLBACK
        self.names = tuple(compiled.positiontup or ())
        """What each of $1, $2 ... in `sql` is called."""
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in self.names]
        self._oids = [next(oid for kind, oid in _OIDS if isinstance(t, kind)) for t in types]
        self._formats = [_BINARY] * len(types)

    def run(
        self,
        connection: StoreConnection,
        values: Mapping[str, Any],
        *,
        skip_malformed: bool = False,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Return the rows, and how many were read or written. Raises psycopg's errors."""
        try:
            arguments = self._encoder(connection).dump_sequence([values[n] for n in self.names], ())
        except UnicodeEncodeError as exc:  # half of a surrogate pair, in an id
            raise psycopg.DataError(str(exc)) from exc
        try:
            result = self._result(connection, arguments)
        except UNPREPARED as exc:
            if isinstance(exc, _LOST):
                connection.find_pooler(one_line(exc))
            if connection.in_transaction:  # the caller has to begin anew
                raise
            if isinstance(exc, StalePlanError):
                connection.forget(self._name)
            result = self._result(connection, arguments)
        return _rows(connection, result, skip_malformed), result.command_tuples or 0

    def _result(self, connection: StoreConnection, arguments: Sequence[Any]) -> PGresult:
        pgconn = connection.pgconn
        if connection.prepare_threshold is None:  # a pooler stands between that forgets them
            send = partial(
                pgconn.send_query_params, self.sql, arguments, self._oids, self._formats, _BINARY
            )
            if self._is_whole and not connection.in_transaction:
                return connection.run_alone(send)
            send()
        else:
            if self._name not in connection.prepared:
                pgconn.send_prepare(self._name, self.sql, self._oids)
                connection.answer()
                connection.prepared.add(self._name)
            pgconn.send_query_prepared(self._name, arguments, self._formats, _BINARY)
        return connection.answer()

    def _encoder(self, connection: StoreConnection) -> abc.Transformer:
        # One per connection: it has a state, which no two threads may share.
        encoder = connection.encoders.get(self._name)
        if encoder is None:
            encoder = connection.encoders[self._name] = Transformer(_CONTEXT)
            # psycopg's codec of JSON would encode the payload once more, as a JSON string
            types = [_TEXT if oid == _JSON else oid for oid in self._oids]
            encoder.set_dumper_types(types, _BINARY)
        made: abc.Transformer = encoder
        return made


def _rows(
    connection: StoreConnection, result: PGresult, skip_malformed: bool
) -> list[tuple[Any, ...]]:
    """Return the rows of a result in binary format. Raises `MalformedRecordError`."""
    decoder = connection.decoder
    if decoder is None:
        decoder = connection.decoder = Transformer(_CONTEXT)
    decoder.set_pgresult(result, format=_BINARY)
    try:
        rows: list[tuple[Any, ...]] = decoder.load_rows(0, result.ntuples, tuple)
    except (psycopg.Error, ValueError) as exc:  # a time that Python can't hold
        if skip_malformed:
            return _readable(decoder, result)
        id_ = (result.get_value(0, 0) or b"").decode(errors="replace")
        raise MalformedRecordError(f"the row of session {id_}: {one_line(exc)}") from exc
    return rows


def _readable(decoder: abc.Transformer, result: PGresult) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for number in range(result.ntuples):
        with suppress(psycopg.Error, ValueError):
            rows += decoder.load_rows(number, number + 1, tuple)
    return rows
