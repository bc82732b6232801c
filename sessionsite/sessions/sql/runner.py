"""Runs the statements of the SQL store: connections, transactions, second tries, forks."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import get_ident
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from .. import forks
from ..store import Connections, StoreBusyError
from .connections import Access, ConflictError, Lease
from .database import Statement
from .engine import database_of
from .statements import compile_statements
from .store_pool import StorePool
from .values import one_line

T = TypeVar("T")
_TRIES = 5  # of a transaction that conflicts with others
_TABLE_IS_OLD = "run `sessionsite upgrade-db` with this .ini file"
_TABLE_IS_MISSING = "run `sessionsite init-db` with this .ini file"


class StatementRunner(forks.Forked):
    """One table's statements, on the connections of one engine; thread-safe."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        """Take an engine that `make_engine` has made: the store's own, with its pool and driver."""
        if not isinstance(engine.pool, StorePool):
            raise TypeError("the store needs an engine of its own, from make_engine")
        self.engine = engine
        self.table = table
        self._database = database_of(engine)
        self._driver: Any = engine.dialect.loaded_dbapi
        self._statements = compile_statements(table, self._database, engine.dialect)
        self._access = Access(engine, self._database, self._explain)
        self._in_transaction: set[int] = set()  # threads
        # The connection whose transaction all that the thread does is part of, by the thread.
        self._held: dict[int, Any] = {}
        self._drained: dict[int, StorePool] = {}  # by the thread that forks
        forks.watch(self)

    def before_fork(self) -> None:
        if not self._database.survives_forks:
            thread = get_ident()
            pool = self._pool
            pool.drain(held=int(thread in self._in_transaction))
            self._drained[thread] = pool

    def after_fork_in_parent(self) -> None:
        if pool := self._drained.pop(get_ident(), None):
            pool.resume()

    def after_fork_in_child(self) -> None:
        inherited = self._pool.open
        self.engine.dispose(close=False)
        self._drained.clear()
        self._access = Access(self.engine, self._database, self._explain)
        if inherited and not self._database.survives_forks:
            self._access.reads.shut(
                "this process was forked while a connection to the file was open, which corrupts "
                "SQLite databases: start it anew"
            )

    def close(self) -> None:
        self.engine.dispose()

    def connections(self) -> Connections:
        pool = self._pool
        limit = pool.size() + max(pool._max_overflow, 0)  # -1 is none
        return Connections(limit=limit, open=pool.open, in_use=pool.in_use)

    @property
    def _pool(self) -> StorePool:
        return cast(StorePool, self.engine.pool)  # another one after `dispose`

    def _again(self, work: Callable[..., T], *args: Any) -> T:
        """Call `work` until no parallel transaction is first, `_TRIES` times at most."""
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return work(*args)
        return work(*args)

    def _execute(self, key: str | None, statement: Statement, values: Mapping[str, Any]) -> int:
        """Run one statement, return how many rows it wrote. `key`: see `Lease`."""
        with self._connection(key) as connection:
            _, count = statement.run(connection, values)
        return count

    def _fetch(
        self,
        key: str | None,
        statement: Statement,
        values: Mapping[str, Any],
        *,
        writes: bool = False,
    ) -> Sequence[Sequence[Any]]:
        """Run one statement, return the rows that it read or wrote. `key`: see `Lease`.

        Leaves out rows that can't be read: no list and no pruning fails because of one.
        """

        def work() -> Sequence[Sequence[Any]]:
            with self._connection(key, writes=writes) as connection:
                rows, _ = statement.run(connection, values, skip_malformed=True)
            return rows

        return self._again(work)

    def _connection(self, key: str | None, *, writes: bool = True) -> AbstractContextManager[Any]:
        """Lease a connection."""
        if self._held and (held := self._held.get(get_ident())):
            return nullcontext(held)
        forks.notice()
        return Lease(self._access, key, writes=writes)

    @contextmanager
    def _transaction(self, connection: Any, *, for_change: bool = False) -> Iterator[None]:
        """Run a transaction; `for_change`: a change of the app's is called in it."""
        statements = self._statements
        process, thread = os.getpid(), get_ident()
        if thread in self._held and connection.in_transaction:
            yield  # part of the transaction that the thread is in
            return
        begin = statements.begin_change if for_change else statements.begin
        begin.run(connection, {})
        self._in_transaction.add(thread)
        try:
            yield
        except (self._driver.Error, StoreBusyError):
            raise  # the connection is thrown away, and the transaction with it
        except Exception:  # no interruption: that leaves a busy connection, thrown away as well
            if process == os.getpid():
                statements.rollback.run(connection, {})
            raise
        finally:
            self._in_transaction.discard(thread)
        statements.commit.run(connection, {})

    @contextmanager
    def _holding(self, connection: Any) -> Iterator[None]:
        """Have all that this thread does until the end run on `connection`."""
        thread = get_ident()
        self._held[thread] = connection
        try:
            yield
        finally:
            del self._held[thread]

    def _explain(self, exc: Exception) -> str:
        if self._database.is_missing_table(exc):
            return f"there is no table {self.table.fullname}: {_TABLE_IS_MISSING}"
        if self._database.is_missing_column(exc):
            return f"{one_line(exc)}: {_TABLE_IS_OLD}"
        return one_line(exc)
