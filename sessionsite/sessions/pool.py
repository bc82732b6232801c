"""SQLAlchemy's pool, with connections that stay checked out between two statements."""

from threading import Lock
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection, QueuePool, reset_none


class StorePool(QueuePool):
    """A pool that lends the connection that was given back last, with no check-out of its own.

    SQLAlchemy's check-out and check-in at each statement took 5 to 7 % of the CPU of a request,
    and there are two statements in it. A connection is handed on as it is, so with
    `pool_pre_ping`, `pool_recycle` or `pool_reset_on_return` each one is checked out and in.
    """

    __module__ = QueuePool.__module__  # SQLAlchemy logs under the name that this makes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        as_it_is = not self._pre_ping and self._recycle < 0 and self._reset_on_return is reset_none
        self._keeps = self.size() if as_it_is else 0
        self._kept: list[PoolProxiedConnection] = []
        self._waiting = 0
        self._disposed = False
        self._lock = Lock()  # guards the three above

    def lend(self) -> PoolProxiedConnection:
        """Return a connection, for `take_back`.

        Raises the driver's errors, and `sqlalchemy.exc.TimeoutError` if none comes free.
        """
        with self._lock:
            if self._kept:
                return self._kept.pop()
            self._waiting += 1
        try:
            return self.connect()
        finally:
            with self._lock:
                self._waiting -= 1

    def take_back(self, connection: PoolProxiedConnection) -> None:
        """Keep `connection` for whoever comes next, or check it in."""
        with self._lock:
            disposed = self._disposed
            if (
                len(self._kept) < self._keeps
                and connection.is_valid
                and not disposed
                # who waits, waits for a check-in, and would not see what is kept
                and not self._waiting
            ):
                self._kept.append(connection)
                return
        if disposed and connection.is_valid:
            connection.invalidate()  # nobody would ever close it
        connection.close()

    def dispose(self) -> None:
        with self._lock:
            self._disposed = True
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()
        super().dispose()
