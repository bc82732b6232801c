"""The lease of one of the driver's connections, and the circuit breaker.

A statement runs inside `with Lease(...) as connection`, which gives the connection back at the end,
whatever happens.
"""

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any, cast

import sqlalchemy as sa

from ..store import RecordExistsError, StoreError
from .database import Database
from .store_pool import StorePool


class LostConnectionError(StoreError):
    """The connection broke under a statement, whose outcome is unknown."""


class CircuitBreaker:
    """While the store is away, lets one request at a time find out whether it is back.

    The other requests fail at once. If their threads all waited for a time-out, none would be left
    for requests that need no session.
    """

    def __init__(self) -> None:
        self._reason: str | None = None
        self._probing = Lock()

    def trip(self, reason: str) -> None:
        """Note that the store is away."""
        self._reason = reason

    def reset(self) -> None:
        """Note that the store has answered."""
        self._reason = None

    def admit(self) -> bool:
        """Let the caller ask the store, and return whether it is the probe; see `release`.

        Raises `StoreError` if the store is away, and another request is the probe.
        """
        if self._reason is None:
            return False
        if not self._probing.acquire(blocking=False):
            raise StoreError(f"still away: {self._reason}")
        return True

    def shut(self, reason: str) -> None:
        """Admit nobody from now on."""
        self.trip(reason)
        self._probing.acquire()

    def release(self, probe: bool) -> None:
        """End what `admit` began; `probe` is what it returned."""
        if probe:
            self._probing.release()


class ConflictError(StoreError):
    """A parallel transaction committed first, and this one has changed nothing."""


class Lease:
    """Gives the driver's connection for a `with`; any failure of the database is a `StoreError`.

    A class, since contextlib's generators cost a third of a lease (benchmarks/store).
    """

    __slots__ = (
        "_breaker", "_database", "_engine", "_explain", "_pool", "_pooled", "_probe", "_waits",
    )  # fmt: skip

    def __init__(
        self,
        engine: sa.Engine,
        database: Database,
        breaker: CircuitBreaker,
        explain: Callable[[Exception], str],
        *,
        waits: bool,
    ) -> None:
        """`waits`: a statement may have to wait for a row's lock, so that silence is no outage."""
        self._engine = engine
        self._database = database
        self._breaker = breaker
        self._explain = explain
        self._waits = waits

    def __enter__(self) -> Any:
        self._probe = self._breaker.admit()
        try:
            self._pool = cast(StorePool, self._engine.pool)  # another one after `dispose`
            self._pooled = self._pool.lend()
        except BaseException as exc:
            self._breaker.release(self._probe)
            if not isinstance(exc, (self._driver.Error, sa.exc.SQLAlchemyError)):
                raise
            reason = self._explain(exc)
            if not isinstance(exc, sa.exc.TimeoutError):  # those that work are all in use
                self._breaker.trip(reason)
            raise StoreError(reason) from exc
        return self._pooled.dbapi_connection

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None:
                self._breaker.reset()
            else:
                self._fail(exc)
        finally:
            self._pool.take_back(self._pooled)
            self._breaker.release(self._probe)

    def _fail(self, exc: BaseException) -> None:
        connection: Any = self._pooled.dbapi_connection
        if not isinstance(exc, self._driver.Error):
            if connection.in_transaction:  # interrupted, and the answer is still to come
                self._pooled.invalidate()
            return
        lost = self._engine.dialect.is_disconnect(cast(Any, exc), connection, None)
        self._pooled.invalidate(exc)  # its state is unknown, and errors are rare
        reason = self._explain(exc)
        if lost:
            raise LostConnectionError(reason) from exc
        if self._database.is_silence(exc) and not self._waits:
            self._breaker.trip(reason)
        if self._database.is_conflict(exc):
            raise ConflictError(reason) from exc
        if self._database.is_taken_id(exc):
            raise RecordExistsError("a session with this id exists") from exc
        raise StoreError(reason) from exc

    @property
    def _driver(self) -> Any:
        return self._engine.dialect.loaded_dbapi
