"""A connection for the time of a `with`, and what becomes of it when something fails."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import sqlalchemy as sa

from .outage import Outage
from .pool import StorePool
from .postgresql import NoAnswerError
from .store import RecordExistsError, StoreError


class LostConnectionError(StoreError):
    """The connection broke under a statement, whose outcome is unknown."""


class Lease:
    """Gives the driver's connection; any failure of the database is a `StoreError`.

    A class, since contextlib's generators took 4 to 5 % of the CPU of a request.
    """

    __slots__ = ("_asks", "_engine", "_explain", "_outage", "_pool", "_pooled", "_waits")

    def __init__(
        self, engine: sa.Engine, outage: Outage, explain: Callable[[Exception], str], waits: bool
    ) -> None:
        """`waits`: a statement may have to wait for a row's lock, so that silence is no outage."""
        self._engine = engine
        self._outage = outage
        self._explain = explain
        self._waits = waits

    def __enter__(self) -> Any:
        self._asks = self._outage.enter()
        try:
            self._pool = cast(StorePool, self._engine.pool)  # another one after `dispose`
            self._pooled = self._pool.lend()
        except BaseException as exc:
            self._outage.leave(self._asks)
            if not isinstance(exc, (self._driver.Error, sa.exc.SQLAlchemyError)):
                raise
            reason = self._explain(exc)
            self._outage.begin(reason)
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
                self._outage.end()
            else:
                self._fail(exc)
        finally:
            self._pool.take_back(self._pooled)
            self._outage.leave(self._asks)

    def _fail(self, exc: BaseException) -> None:
        connection: Any = self._pooled.dbapi_connection
        if not isinstance(exc, self._driver.Error):
            # interrupted within a statement, whose answer is still to come
            if getattr(connection, "in_transaction", False):
                self._pooled.invalidate()
            return
        lost = self._engine.dialect.is_disconnect(cast(Any, exc), connection, None)
        self._pooled.invalidate(exc)  # its state is unknown, and errors are rare
        reason = self._explain(exc)
        if lost:
            raise LostConnectionError(reason) from exc
        if isinstance(exc, NoAnswerError) and not self._waits:
            self._outage.begin(reason)
        if isinstance(exc, self._driver.IntegrityError):
            raise RecordExistsError("a session with this id or key exists") from exc
        raise StoreError(reason) from exc

    @property
    def _driver(self) -> Any:
        return self._engine.dialect.loaded_dbapi
