"""libpq: a connection that gives up in time, and statements that run on it without a cursor.

psycopg's cursors find out anew, at each statement, how each Python type becomes an SQL type and
back. The store knows its columns: it prepares each statement once per connection, and has
psycopg's codecs in C send and read the values in PostgreSQL's binary format.
"""

import os
import select
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import abc
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.errors import lookup
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.types.string import TextBinaryLoader
from sqlalchemy.dialects.postgresql.base import PGDialect

from .. import forks
from ..store import MalformedRecordError
from .session_settings import BEGIN, for_a_transaction, for_the_session, needed
from .values import UTCDateTime, one_line

_BINARY = Format.BINARY
_BEGIN = BEGIN.encode()
_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_SYNC)
_READ, _WRITE = 1, 4  # POSIX's POLLIN and POLLOUT, which Windows has not


class NoAnswerError(psycopg.OperationalError):
    """The server has not answered a statement in time; it may or may not have run it."""


class _Selector:
    """Does what `select.poll` does, where there is none: on Windows, and under eventlet."""

    def __init__(self) -> None:
        self._selector = DefaultSelector()

    def register(self, socket: int, events: int) -> None:
        wanted = (EVENT_READ if events & _READ else 0) | (EVENT_WRITE if events & _WRITE else 0)
        if socket in self._selector.get_map():
            self._selector.modify(socket, wanted)
        else:
            self._selector.register(socket, wanted)

    def poll(self, milliseconds: float) -> list[Any]:
        return self._selector.select(milliseconds / 1000)


class StoreConnection(psycopg.Connection[Any], forks.Forked):
    """A connection that gives up on a server that no longer answers.

    `statement_timeout` is the server's to keep, and a server that is stopped, cut off or
    swapped out keeps nothing: only the client's own clock ends the wait.
    """

    seconds = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opening = b""
        self.prepared: set[bytes] = set()
        self.encoders: dict[bytes, abc.Transformer] = {}
        self._decoder = Transformer(_CONTEXT)
        # Not once for all: eventlet takes `poll` away while the program runs.
        self._poll: Any = select.poll() if hasattr(select, "poll") else _Selector()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        """Drop the socket, which is the parent's too, without a word to the server.

        Whatever still writes to its number then writes into the void.
        """
        if not self.closed:
            void = os.open(os.devnull, os.O_RDWR)
            os.dup2(void, self.pgconn.socket, inheritable=False)
            os.close(void)

    def prepare(self, seconds: float) -> None:
        """Set what the store needs, and wait for each answer for `seconds`.

        One round trip. A pooler that hands each transaction to another of its connections, which
        `prepare_threshold=none` says, would keep none of it: there each transaction sets its own.
        """
        self.seconds = seconds
        settings = needed(seconds, self.pgconn.server_version)
        self.opening = for_a_transaction(settings)
        if self.prepare_threshold is not None:
            self.pgconn.send_query(for_the_session(settings))
            self.answer()

    def run_alone(self, send: Callable[[], None]) -> PGresult:
        """Return the result of the statement that `send` sends, in a transaction of its own.

        One round trip: libpq's pipeline. Raises psycopg's errors.
        """
        pgconn = self.pgconn
        pgconn.enter_pipeline_mode()
        for statement in (_BEGIN, self.opening):
            pgconn.send_query_params(statement, None)
        send()
        pgconn.send_query_params(b"COMMIT", None)
        pgconn.pipeline_sync()
        deadline = monotonic() + self.seconds
        results: list[PGresult] = []
        while not results or results[-1].status != ExecStatus.PIPELINE_SYNC:
            results += self._received(deadline)
        pgconn.exit_pipeline_mode()
        return results[2]

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction, or a single statement, has begun and not ended."""
        return self.pgconn.transaction_status != TransactionStatus.IDLE

    def answer(self) -> PGresult:
        """Return the result of the statement that was sent. Raises psycopg's errors.

        psycopg's own way through its generators hands Python's lock over more often, which costs
        CPU while other threads are at work (benchmarks/libraries).
        """
        return self._received(monotonic() + self.seconds)[-1]

    def _received(self, deadline: float) -> list[PGresult]:
        """Return the results of one statement, or of a query of several. Raises psycopg's errors.

        In a pipeline the last one is alone: that the pipeline has ended.
        """
        pgconn = self.pgconn
        while pgconn.flush():  # a long statement, which the socket does not take at once
            self._wait(_READ | _WRITE, deadline)
            pgconn.consume_input()
        results: list[PGresult] = []
        while True:
            while pgconn.is_busy():  # or get_result would wait, and nothing would end that
                self._wait(_READ, deadline)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            results.append(result)
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
        if not results:
            raise psycopg.OperationalError("the connection is lost")
        if results[-1].status not in _GOOD:
            raise _error(results[-1])
        return results

    def rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        """Return the rows of a result in binary format. Raises `MalformedRecordError`."""
        self._decoder.set_pgresult(result, format=_BINARY)
        try:
            return self._decoder.load_rows(0, result.ntuples, tuple)
        except (psycopg.Error, ValueError) as exc:  # a time that Python can't hold
            id_ = (result.get_value(0, 0) or b"").decode(errors="replace")
            raise MalformedRecordError(f"the row of session {id_}: {one_line(exc)}") from exc

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


class _Context:
    """Has psycopg's codecs leave JSON as the text it is.

    They take the time zone of times from a connection; there is none here, and times are in UTC.
    """

    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("json", TextBinaryLoader)


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
    (UTCDateTime, 1184),
)


class PostgreSQLStatement:
    """A statement described in SQLAlchemy, prepared on each connection that it is run on."""

    def __init__(self, name: str, statement: Any) -> None:
        dialect: sa.Dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect)
        self._name = f"sessionsite_{name}".encode()
        self.sql = str(compiled).encode()
        self._is_whole = not isinstance(statement, sa.TextClause)  # no BEGIN, COMMIT, ROLLBACK
        self.names = tuple(compiled.positiontup or ())
        """What each of $1, $2 ... in `sql` is called."""
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in self.names]
        self._oids = [next(oid for kind, oid in _OIDS if isinstance(t, kind)) for t in types]
        self._formats = [_BINARY] * len(types)

    def run(
        self, connection: StoreConnection, values: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Return the rows, and how many were read or written. Raises psycopg's errors."""
        pgconn = connection.pgconn
        if self.sql == _BEGIN and connection.prepare_threshold is None:
            pgconn.send_query(b"; ".join((_BEGIN, connection.opening)))
            connection.answer()
            return (), 0
        try:
            arguments = self._encoder(connection).dump_sequence([values[n] for n in self.names], ())
        except UnicodeEncodeError as exc:  # half of a surrogate pair, in an id
            raise psycopg.DataError(str(exc)) from exc
        if connection.prepare_threshold is None:  # a pooler stands between that forgets them
            send = partial(
                pgconn.send_query_params, self.sql, arguments, self._oids, self._formats, _BINARY
            )
            if self._is_whole and not connection.in_transaction:
                result = connection.run_alone(send)
                return connection.rows(result), result.command_tuples or 0
            send()
        else:
            if self._name not in connection.prepared:
                pgconn.send_prepare(self._name, self.sql, self._oids)
                connection.answer()
                connection.prepared.add(self._name)
            pgconn.send_query_prepared(self._name, arguments, self._formats, _BINARY)
        result = connection.answer()
        return connection.rows(result), result.command_tuples or 0

    def _encoder(self, connection: StoreConnection) -> abc.Transformer:
        # One per connection: it has a state, which no two threads may share.
        encoder = connection.encoders.get(self._name)
        if encoder is None:
            encoder = connection.encoders[self._name] = Transformer(_CONTEXT)
            # psycopg's codec of JSON would encode the payload once more, as a JSON string
            types = [_TEXT if oid == _JSON else oid for oid in self._oids]
            encoder.set_dumper_types(types, _BINARY)
        return encoder


def _error(result: PGresult) -> psycopg.Error:
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    try:
        kind: type[psycopg.Error] = lookup(state)
    except KeyError:
        kind = psycopg.DatabaseError
    return kind(message.decode(errors="replace"))
