"""The pool of the driver's connections, which knows what to do at a limit, and at a fork."""

import logging
from collections.abc import Callable
from threading import Condition, RLock, get_ident
from time import monotonic
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool, reset_none
from sqlalchemy.pool.base import _ConnectionRecord

from .. import forks
from ..waiting import Waiter, WaitingRoom
from .values import driver_error, one_line

log = logging.getLogger(__name__)

FREE = ""
"""What a request waits for that waits for any connection: no session's id."""
_RETRY = 1.0  # seconds after which a database that gives no further connection is asked again


class StorePool(QueuePool, forks.Forked):
    """A pool that lends the connection that was given back last, with no check-out of its own.

    SQLAlchemy's check-out and check-in cost more than the rest of a lease, and a request takes two
    (benchmarks/store). A connection is handed on as it is, so with `pool_pre_ping`, `pool_recycle`
    or `pool_reset_on_return` each one is checked out and in.

    If the database refuses a further connection while one of ours works, that is no failure: the
    request waits for one of ours.
    """

    __module__ = QueuePool.__module__  # SQLAlchemy logs under the name that this makes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        as_it_is = not self._pre_ping and self._recycle < 0 and self._reset_on_return is reset_none
        self._keeps = self.size() if as_it_is else 0
        self._kept: list[PoolProxiedConnection] = []
        self._made: set[ConnectionPoolEntry] = set()
        self._waiting = 0
        self._retry_at = 0.0  # when to ask a database again that has given no further connection
        self._draining = 0  # threads that are about to fork
        self._disposed = self._inherited = False
        self._closing = False  # disposed, or draining: what is given back is closed
        self.room = WaitingRoom(max(1, (self.size() or 10) // 2))
        self.asking: dict[int, Waiter] = {}  # by the thread that is getting a connection
        self._renew_lock()
        forks.watch(self)

    def _renew_lock(self) -> None:
        # Reentrant: a connection that is collected as garbage is checked in at any moment.
        self._lock = RLock()  # guards all of the above
        self._free = Condition(self._lock)

    def set_timeout(self, seconds: float) -> None:
        """Have whoever waits for a connection wait for so long at most."""
        self._timeout = seconds

    def recreate(self) -> "StorePool":
        made = super().recreate()
        assert isinstance(made, StorePool)
        made.room = self.room
        return made

    def lend(self, waiter: Waiter | None = None) -> PoolProxiedConnection:
        """Return a connection, for `take_back`. `waiter`: the request, if its waits count.

        Raises the driver's errors, `sqlalchemy.exc.TimeoutError` if none comes free, and
        `StoreBusyError`.
        """
        with self._lock:
            if self._kept:
                return self._kept.pop()
        if waiter is None:
            return self.connect()
        thread = get_ident()
        self.asking[thread] = waiter
        try:
            return self.connect()
        finally:
            del self.asking[thread]

    def take_back(self, connection: PoolProxiedConnection) -> None:
        """Keep `connection` for the next `lend`, or check it in."""
        self.room.moved(FREE)
        with self._lock:
            if (
                len(self._kept) < self._keeps
                and connection.is_valid
                # a waiting thread is woken by a check-in, and would not see a kept connection
                and not self._waiting
                and not self._closing
            ):
                self._kept.append(connection)
                return
        connection.close()

    def connect(self) -> PoolProxiedConnection:
        deadline = monotonic() + self.timeout()
        while True:
            try:
                return super().connect()
            except self._driver.Error as exc:
                if not self._wait_for_ours(exc, deadline):
                    raise
                if monotonic() >= deadline:
                    raise self._none_came_free(f"; no other is to be had: {one_line(exc)}") from exc

    def _wait_for_ours(self, exc: Exception, deadline: float) -> bool:
        """Wait while others are being made; return whether one of ours works.

        `exc`: why another one could not be made.
        """
        with self._free:
            # Threads that came at the same time may be more fortunate.
            self._free.wait_for(
                lambda: self._working() or self.open == len(self._made),
                max(0.0, deadline - monotonic()),
            )
            ours = self._working()
            if ours and not self._retry_at:
                log.warning(
                    "The database gives no further connection, so requests wait for one of the %d "
                    "that work: %s", ours, one_line(exc),
                )  # fmt: skip
            if ours:
                self._retry_at = monotonic() + _RETRY
            return ours > 0

    def _do_get(self) -> ConnectionPoolEntry:
        free: list[ConnectionPoolEntry] = []
        with self._free:
            if not self.wait(lambda seconds: self._came(free, seconds), self.timeout()):
                raise self._none_came_free()
            if free:
                return free[0]
        try:
            record = self._create_connection()
        except BaseException:
            with self._free:
                self._dec_overflow()
                self._free.notify_all()
            raise
        with self._free:
            self._made.add(record)
            self._retry_at = 0.0
            self._free.notify_all()
        return record

    def _create_connection(self) -> ConnectionPoolEntry:
        """Close what was made if SQLAlchemy's first statements on it fail.

        Not every SQLAlchemy 2.0 does: it drops the connection open, and first rolls back on it, so
        that an error of that hides the one to be told.
        """
        record = _ConnectionRecord(self, connect=False)
        try:
            record.get_connection()
        except BaseException as exc:
            hidden = exc.__context__ if record.dbapi_connection is not None else None
            record.close()
            hidden = driver_error(hidden or exc)
            exc = hidden if isinstance(hidden, self._driver.Error) else exc
            raise exc
        return record

    def wait(self, ready: Callable[[float], bool], seconds: float) -> bool:
        """Wait by `ready` for what stands between this thread and a connection.

        Raises `StoreBusyError`.
        """
        waiter = self.asking.get(get_ident())
        return self.room.wait(waiter, ready, seconds, FREE) if waiter else ready(seconds)

    def _came(self, free: list[ConnectionPoolEntry], seconds: float) -> bool:
        """Wait until a connection is in `free`, or can be made; return whether that has come."""
        deadline = monotonic() + seconds
        while not self._take(free):
            left = deadline - monotonic()
            if left <= 0:
                return False
            pause = self._retry_at - monotonic() if self._working() else 0.0
            self._waiting += 1
            try:
                self._free.wait(min(left, pause) if pause > 0 else left)
            finally:
                self._waiting -= 1
        return True

    def _take(self, free: list[ConnectionPoolEntry]) -> bool:
        if self._kept:
            self._kept.pop().close()
        if self.checkedin():
            free.append(self._pool.get(False))
            return True
        asks = self._retry_at <= monotonic() or not self._working()
        if not asks or self._draining or not self._inc_overflow():
            return False
        if self._retry_at:  # one thread asks, the others go on waiting
            self._retry_at = monotonic() + _RETRY
        return True

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._inherited:  # it is the parent's
            return
        with self._free:
            if record.dbapi_connection is None or self._closing or self._pool.full():
                self._drop(record)
                self._free.notify_all()  # there is room for another
            else:
                self._pool.put(record, False)
                self._free.notify()

    def _drop(self, record: ConnectionPoolEntry) -> None:
        record.close()
        self._made.discard(record)
        self._dec_overflow()

    @property
    def _driver(self) -> Any:
        return cast(Any, self._dialect).loaded_dbapi

    def _working(self) -> int:
        return sum(record.dbapi_connection is not None for record in self._made)

    def _none_came_free(self, but: str = "") -> sa.exc.TimeoutError:
        return sa.exc.TimeoutError(
            f"QueuePool: none of {len(self._made)} connections came free in {self.timeout():g} "
            f"seconds{but}"
        )

    def dispose(self) -> None:
        with self._lock:
            self._disposed = self._closing = True
            self._close_idle()

    def _close_idle(self) -> None:
        while self._kept:
            self._kept.pop().close()
        while self.checkedin():
            self._drop(self._pool.get(False))

    @property
    def open(self) -> int:
        """How many connections there are, or are being made."""
        return self.size() + self._overflow

    @property
    def in_use(self) -> int:
        """How many of them are lent, or are being made."""
        with self._lock:
            return self.open - self.checkedin() - len(self._kept)

    def drain(self, held: int) -> None:
        """Close all connections, and let none be made until the same thread calls `resume`.

        Waits for those that are lent, for at most `pool_timeout`. `held`: how many of them the
        caller itself has.
        """
        self._free.acquire()
        self._draining += 1
        self._closing = True
        self._close_idle()
        self._free.wait_for(lambda: self.open <= held, self.timeout())

    def resume(self) -> None:
        self._draining -= 1
        self._closing = self._disposed or self._draining > 0
        self._free.notify_all()
        self._free.release()

    def after_fork_in_child(self) -> None:
        self._inherited = self._closing = True
        self._renew_lock()
        for record in cast(set[Any], self._made):
            forks.keep_for_ever(record.dbapi_connection)  # to close it would end the parent's
            record.dbapi_connection = None
        self._kept.clear()
