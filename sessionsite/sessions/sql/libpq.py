"""libpq: a connection that gives up in time, and statements that run on it without a cursor.

psycopg's cursors find out anew, at each statement, how each Python type becomes an SQL type and
back. The store knows its ten columns: it prepares each statement once per connection, and sends and
reads values in PostgreSQL's binary format (what that saves: benchmarks/libraries).
"""

import datetime as dt
import select
from collections.abc import Callable, Generator, Mapping, Sequence
from time import monotonic
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.errors import lookup
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy.dialects.postgresql.base import PGDialect

from .values import UTCDateTime, decoded

_BINARY = 1
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class NoAnswerError(psycopg.OperationalError):
    """The server has not answered a statement in time; it may or may not have run it."""


class StoreConnection(psycopg.Connection[Any]):
    """A connection that gives up on a server that no longer answers.

    `statement_timeout` is the server's to keep, and a server that is stopped, cut off or
    swapped out keeps nothing: only the client's own clock ends the wait.
    """

    seconds = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: set[bytes] = set()
        self._poll = select.poll()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction, or a single statement, has begun and not ended."""
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    def answer(self) -> PGresult:
        """Return the result of the statement that was sent. Raises psycopg's errors.

        psycopg's own way through its generators hands Python's lock over more often, which costs
        CPU while other threads are at work (benchmarks/libraries).
        """
        pgconn = self.pgconn
        deadline = monotonic() + self.seconds
        while pgconn.flush():  # a long statement, which the socket does not take at once
            self._wait(select.POLLIN | select.POLLOUT, deadline)
            pgconn.consume_input()
        results = []
        while True:
            while pgconn.is_busy():  # or get_result would wait, and nothing would end that
                self._wait(select.POLLIN, deadline)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            results.append(result)
        if not results:
            raise psycopg.OperationalError("the connection is lost")
        result = results[-1]
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise _error(result)
        return result

    def _wait(self, events: int, deadline: float) -> None:
        self._poll.register(self.pgconn.socket, events)
        if not self._poll.poll(max(0, deadline - monotonic()) * 1000):
            raise _no_answer(self.seconds)

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        return super().wait(_bounded(gen, self.seconds), *args, **kwargs)


def _bounded(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """Pass everything through to `gen`, until it has waited for more than `seconds`."""
    deadline = monotonic() + seconds
    try:
        event = next(gen)
        while True:
            ready = yield event
            # psycopg looks in with 0 ("nothing is ready") every tenth of a second
            if not ready and monotonic() > deadline:
                raise _no_answer(seconds)
            event = gen.send(ready)
    except StopIteration as done:
        return done.value


def _no_answer(seconds: float) -> NoAnswerError:
    return NoAnswerError(f"no answer within {seconds:g} seconds")


def _integer(size: int) -> Callable[[int], bytes]:
    return lambda value: value.to_bytes(size, "big", signed=True)


def _encode_time(value: dt.datetime) -> bytes:
    return ((value - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True)


def _decode_integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _decode_time(value: bytes) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=_decode_integer(value))


# What a parameter of each SQL type is on the wire: the type's number (pg_type.oid), and its value.
_ENCODE: tuple[tuple[type[sa.types.TypeEngine[Any]], int, Callable[[Any], bytes]], ...] = (
    (sa.JSON, 114, str.encode),
    (sa.Text, 25, str.encode),
    (sa.LargeBinary, 17, bytes),
    (sa.Boolean, 16, _integer(1)),
    (sa.Integer, 23, _integer(4)),
    (UTCDateTime, 1184, _encode_time),
)
# By the type's number; a column of any other type is none of `Record`'s.
_DECODE: dict[int, Callable[[bytes], Any]] = {
    16: lambda value: value == b"\1",
    17: bytes,
    20: _decode_integer,
    23: _decode_integer,
    25: bytes.decode,
    114: bytes.decode,
    1184: _decode_time,
}


class PostgreSQLStatement:
    """A statement described in SQLAlchemy, prepared on each connection that it is run on."""

    def __init__(self, name: str, statement: Any) -> None:
        dialect: sa.Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self._name = f"sessionsite_{name}".encode()
        self.sql = str(compiled).encode()
        self.names = tuple(compiled.positiontup or ())
        """What each of $1, $2 ... in `sql` is called."""
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in self.names]
        codecs = [next(c for c in _ENCODE if isinstance(type_, c[0])) for type_ in types]
        self._oids = [oid for _, oid, _ in codecs]
        self._encode = [encode for _, _, encode in codecs]
        self._formats = [_BINARY] * len(codecs)

    def run(
        self, connection: StoreConnection, values: Mapping[str, Any]
    ) -> tuple[list[Sequence[Any]], int]:
        """Return the rows, and how many were read or written. Raises psycopg's errors."""
        pgconn = connection.pgconn
        arguments = [
            None if (value := values[name]) is None else encode(value)
            for name, encode in zip(self.names, self._encode, strict=True)
        ]
        if connection.prepare_threshold is None:  # a pooler stands between that forgets them
            pgconn.send_query_params(self.sql, arguments, self._oids, self._formats, _BINARY)
        else:
            if self._name not in connection.prepared:
                pgconn.send_prepare(self._name, self.sql, self._oids)
                connection.answer()
                connection.prepared.add(self._name)
            pgconn.send_query_prepared(self._name, arguments, self._formats, _BINARY)
        result = connection.answer()
        return _rows(result), result.command_tuples or 0


def _error(result: PGresult) -> psycopg.Error:
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    try:
        kind: type[psycopg.Error] = lookup(state)
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(message.decode(errors="replace"))


def _rows(result: PGresult) -> list[Sequence[Any]]:
    columns = range(result.nfields)
    decoders = [_DECODE.get(result.ftype(column), bytes) for column in columns]
    return [
        decoded([result.get_value(row, column) for column in columns], decoders)
        for row in range(result.ntuples)
    ]
