"""libpq: a connection that gives up in time, and tells the server so.

psycopg's cursors find out anew, at each statement, how each Python type becomes an SQL type and
back. The store knows its columns: `prepared.py` has its statements, which need no cursor.
"""

import os
import select
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from threading import Thread
from time import monotonic
from typing import Any

import psycopg
from psycopg.errors import lookup
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from .. import forks
from ..waiting import Waiter, WaitingRoom
from .session_settings import BEGIN, Limits, for_a_transaction, for_the_session, needed

_BEGIN = BEGIN.encode()
_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_SYNC)
_READ, _WRITE = 1, 4  # POSIX's POLLIN and POLLOUT, which Windows has not
_CANCEL = 10.0  # seconds, in a thread that nobody waits for


class NoAnswerError(psycopg.OperationalError):
    """The server has not answered a statement in time; it may or may not have run it."""


class UnreplicatedError(psycopg.OperationalError):
    """A commit has not reached the synchronous standby, where it would outlive the primary.

    PostgreSQL reports it as a success, with a warning.
    """


class StalePlanError(psycopg.errors.FeatureNotSupported):
    """A column has another type than when the statement was prepared; nothing was run."""


class _Notices:
    """What the server has said beside its answers.

    An object of its own: a method of the connection among its own handlers would be a cycle.
    """

    unreplicated = False

    def note(self, notice: psycopg.errors.Diagnostic) -> None:
        # By the function in the server's source: the message is in the language of the server.
        if notice.source_function == "SyncRepWaitForLSN":
            self.unreplicated = True


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

    `statement_timeout` is the server's to keep, and a server that is stopped, cut off or swapped
    out keeps nothing: only the client's own clock ends the wait.
    """

    limits = request_limits = Limits.of_requests(5, 60)
    room: WaitingRoom | None = None
    waiter: Waiter | None = None
    """The request that has leased the connection; None: no wait that counts."""
    has_found_pooler = False
    tell_of_pooler: Callable[[str], None] = staticmethod(lambda reason: None)
    """Told the reason by `find_pooler`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opening = b""
        self.prepared: set[bytes] = set()
        self.encoders: dict[bytes, Any] = {}
        self.decoder: Any = None
        self._notices = _Notices()
        self.add_notice_handler(self._notices.note)
        self._inherited = False
        # Not once for all: eventlet takes `poll` away while the program runs.
        self._poll: Any = select.poll() if hasattr(select, "poll") else _Selector()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        """Drop the socket, which is the parent's too, without a word to the server.

        Whatever still writes to its number then writes into the void.
        """
        self._inherited = True
        if not self.closed:
            void = os.open(os.devnull, os.O_RDWR)
            os.dup2(void, self.pgconn.socket, inheritable=False)
            os.close(void)

    def close(self) -> None:
        """Close it. A statement that is still out is cancelled, or the server would go on with it.

        In a thread, since a server that does not answer takes its time for this as well.
        """
        out = self.pgconn.transaction_status == TransactionStatus.ACTIVE
        if not out or self._inherited or self.closed:
            super().close()
            return
        thread = Thread(target=self._cancel_and_close, name="session-store-cancel", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process ends, or may have no further thread
            super().close()

    def rollback(self) -> None:
        """Roll back, unless a statement is still out: the connection is then to be thrown away.

        SQLAlchemy rolls back first, and an error of that would hide the one to be told.
        """
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            super().rollback()

    def _cancel_and_close(self) -> None:
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=_CANCEL)
        super().close()

    def prepare(self, limits: Limits) -> None:
        """Set what the store needs, and find out whether a pooler is on the way.

        A pooler may hand each transaction to another of its connections, and would keep neither
        settings nor prepared statements; the process id that it gives is none of the server's.
        Then, as with `prepare_threshold=none`, each transaction sets its own.
        """
        self.limits = self.request_limits = limits
        if self.prepare_threshold is not None:
            self.pgconn.send_query(b"SELECT pg_catalog.pg_backend_pid()")
            (pid,) = self._received(self._deadline())
            if int(pid.get_value(0, 0) or 0) != self.pgconn.backend_pid:
                self.find_pooler("the process id is none of the server's")
        self.limit(limits)

    def find_pooler(self, reason: str) -> None:
        """Go without prepared statements from now on, since a pooler must stand between."""
        self.prepare_threshold = None
        self.has_found_pooler = True
        self.tell_of_pooler(reason)

    def forget(self, name: bytes) -> None:
        """Drop a prepared statement, so that it is prepared anew. One round trip."""
        self.prepared.discard(name)
        self.pgconn.send_query(b"DEALLOCATE " + name)
        self.answer()

    def limit(self, limits: Limits) -> None:
        """Have the statements that follow keep to `limits`. One round trip, or none."""
        self.limits = limits
        settings = needed(limits, self.pgconn.server_version)
        self.opening = for_a_transaction(settings)
        if self.prepare_threshold is not None:
            self.pgconn.send_query(for_the_session(settings))
            self.answer()

    def begin(self, idle: float) -> None:
        """Begin a transaction that may be idle for `idle` seconds at a time. One round trip."""
        limits = replace(self.limits, idle=idle)
        settings = needed(limits, self.pgconn.server_version)
        if self.prepare_threshold is not None:
            name = "idle_in_transaction_session_timeout"
            settings = {name: settings[name]}
        self.pgconn.send_query(b"; ".join((_BEGIN, for_a_transaction(settings))))
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
        deadline = self._deadline()
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
        return self._received(self._deadline())[-1]

    def _deadline(self) -> float:
        return monotonic() + self.limits.answer

    def _received(self, deadline: float) -> Sequence[PGresult]:
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
        if self._notices.unreplicated:
            raise UnreplicatedError("the synchronous standby has not confirmed the commit in time")
        if not results:
            raise psycopg.OperationalError("the connection is lost")
        if results[-1].status not in _GOOD:
            raise _error(results[-1])
        return results

    def _wait(self, events: int, deadline: float) -> None:
        self._poll.register(self.pgconn.socket, events)
        left = deadline - monotonic()
        if self.waiter is None or self.room is None:
            answered = self._ready(left)
        else:
            answered = self.room.wait(self.waiter, self._ready, left)
        if not answered:
            raise _no_answer(self.limits.answer)

    def _ready(self, seconds: float) -> bool:
        return bool(self._poll.poll(max(0.0, seconds) * 1000))

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        return super().wait(_bounded(gen, self.limits.answer), *args, **kwargs)


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


def _error(result: PGresult) -> psycopg.Error:
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    message = result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    try:
        kind: type[psycopg.Error] = lookup(state)
    except KeyError:
        kind = psycopg.DatabaseError
    if result.error_field(DiagnosticField.SOURCE_FUNCTION) == b"RevalidateCachedQuery":
        kind = StalePlanError
    return kind(message.decode(errors="replace"))
