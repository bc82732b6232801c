"""The lease of one of the driver's connections.

A statement runs inside `with Lease(...) as connection`, which gives the connection back at the end,
whatever happens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

import sqlalchemy as sa

from ..breaker import CircuitBreaker
from ..store import StoreBusyError, StoreError
from .database import Database
from .store_pool import StorePool


class LostConnectionError(StoreError):
    """The connection broke under a statement, whose outcome is unknown."""


class TakenError(StoreError):
    """A row was refused since another one has its id, or a value that is to be unique."""


class ConflictError(StoreError):
    """A parallel transaction committed first, and this one has changed nothing."""


@dataclass(slots=True)
class Access:
    """What all leases of a store have in common."""

    engine: sa.Engine
    database: Database
    explain: Callable[[Exception], str]
    """Returns an error of the driver's in one line, for an operator."""
    reads: CircuitBreaker = field(default_factory=CircuitBreaker)
    writes: CircuitBreaker = field(default_factory=CircuitBreaker)
    """Beside that of the reads: a locked table, and a standby that is gone, stop writes alone."""


class Lease:
    """Gives the driver's connection for a `with`; any failure of the database is a `StoreError`.

    A class, since contextlib's generators cost a third of a lease (benchmarks/store).
    """

    __slots__ = ("_access", "_breakers", "_pool", "_pooled", "_probes", "_waits", "key")

    def __init__(self, access: Access, key: str | None, *, writes: bool) -> None:
        """`key`: the session or owner that it is for; None for work on many rows, which takes its
        time, and for which no visitor waits.
        """
        self._access = access
        self._waits = key is not None
        # Reads wait for no row, so what they get says nothing of those who do.
        self.key = f"{key or ''}{'' if writes else ' (read)'}"
        self._breakers: Sequence[CircuitBreaker] = (
            (access.reads, access.writes) if writes else (access.reads,)
        )

    def __enter__(self) -> Any:
        self._pool = cast(StorePool, self._access.engine.pool)  # another one after `dispose`
        self._probes: list[CircuitBreaker] = []
        try:
            if self._waits:
                self._pool.room.admit(self)
            for breaker in self._breakers:
                if breaker.admit():
                    self._probes.append(breaker)
            self._pooled = self._pool.lend(self if self._waits else None)
        except BaseException as exc:
            self._release()
            if not isinstance(exc, (self._driver.Error, sa.exc.SQLAlchemyError)):
                raise
            reason = self._access.explain(exc)
            if not isinstance(exc, sa.exc.TimeoutError):  # those that work are all in use
                self._access.reads.trip(reason)
            raise StoreError(reason) from exc
        connection: Any = self._pooled.dbapi_connection
        try:
            if self._waits:
                connection.waiter = self
            else:
                self._access.database.give_time(connection)
        except BaseException as exc:
            self.__exit__(type(exc), exc, None)
            raise
        return connection

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        connection: Any = self._pooled.dbapi_connection
        try:
            if exc is None and not self._waits:
                exc = self._hurry(connection)
            connection.waiter = None
            if exc is None:
                for breaker in self._breakers:
                    breaker.reset()
                self._pool.room.moved(self.key)
            else:
                self._fail(exc)
        finally:
            self._pool.take_back(self._pooled)
            self._release()

    def _hurry(self, connection: Any) -> Exception | None:
        try:
            self._access.database.take_time(connection)
        except Exception as exc:
            return exc
        return None

    def gives_way(self) -> bool:
        return any(breaker.is_open for breaker in self._breakers)

    def starves(self) -> None:
        self._breakers[-1].timed_out(self.key, "requests wait, and nothing moves")

    def _release(self) -> None:
        for breaker in self._probes:
            breaker.release()

    def _fail(self, exc: BaseException) -> None:
        connection: Any = self._pooled.dbapi_connection
        database = self._access.database
        if not isinstance(exc, self._driver.Error):
            if connection.in_transaction:  # interrupted, and the answer is still to come
                self._pooled.invalidate()
            return
        lost = self._access.engine.dialect.is_disconnect(cast(Any, exc), connection, None)
        locked = database.is_locked(exc)
        if not locked or connection.in_transaction:
            self._pooled.invalidate(exc)  # its state is unknown, and errors are rare
        reason = self._access.explain(exc)
        if not database.is_unreplicated(exc) and lost:
            raise LostConnectionError(reason) from exc
        if database.is_time_out(exc) and self._waits:
            self._breakers[-1].timed_out(self.key, reason)
        if database.is_conflict(exc):
            raise ConflictError(reason) from exc
        if database.is_taken(exc):
            raise TakenError(reason) from exc
        raise (StoreBusyError if locked else StoreError)(reason) from exc

    @property
    def _driver(self) -> Any:
        return self._access.engine.dialect.loaded_dbapi
