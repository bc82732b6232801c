"""The session store in SQL: PostgreSQL in production, SQLite for a try-out. No ORM.

SQLAlchemy describes the statements, compiles them once, and owns the pool; they then run on the
driver's own connection, which saves most of what a statement costs. A statement that is the whole
work runs in AUTOCOMMIT mode: one round trip, no BEGIN, no COMMIT.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from threading import get_ident
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from .. import forks
from ..store import MalformedRecordError, Record, RecordExistsError, SessionStore, StoreError
from .connections import CircuitBreaker, ConflictError, Lease, LostConnectionError
from .database import Statement
from .engine import database_of
from .statements import CHANGEABLE, COLUMNS, compile_statements
from .store_pool import StorePool
from .values import one_line

T = TypeVar("T")
_TRIES = 5  # of a transaction that conflicts with others
_MAX_LIMIT = 2**31 - 1  # what PostgreSQL's integer holds
_TABLE_IS_MISSING = "run `sessionsite init-db` with this .ini file"


class SQLAlchemyStore(SessionStore, forks.Forked):
    """`SessionStore` over one table; thread-safe. Times are stored to the microsecond."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        """Take an engine that `make_engine` has made: the store's own, with its pool and driver."""
        if not isinstance(engine.pool, StorePool):
            raise TypeError("the store needs an engine of its own, from make_engine")
        self.engine = engine
        self.table = table
        self._database = database_of(engine)
        self.where = self._database.where
        self._driver: Any = engine.dialect.loaded_dbapi
        self._statements = compile_statements(table, self._database, engine.dialect)
        self._breaker = CircuitBreaker()
        self._in_transaction: set[int] = set()  # threads
        self._sweeping: dict[int, Any] = {}  # the connection, by the thread
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
        self._breaker = CircuitBreaker()
        if inherited and not self._database.survives_forks:
            self._breaker.shut(
                "this process was forked while a connection to the file was open, which corrupts "
                "SQLite databases: start it anew"
            )

    @property
    def _pool(self) -> StorePool:
        return cast(StorePool, self.engine.pool)  # another one after `dispose`

    def create(self, record: Record) -> None:
        row = {name: getattr(record, name) for name in COLUMNS} | {"version": 1}
        create = self._statements.create
        try:
            self._again(self._execute, create, row)
        except LostConnectionError:
            self.close()  # the server was restarted: the pool's other connections are dead too
            try:
                self._execute(create, row)
            except RecordExistsError:
                return  # the first attempt had arrived, only its answer was lost

    def load(self, id: str, now: datetime) -> Record | None:
        try:
            return self._load(id, now)
        except LostConnectionError:
            self.close()
            return self._load(id, now)  # reading twice does no harm, and nobody sees the restart

    def _load(self, id: str, now: datetime) -> Record | None:
        with self._connection(waits=False) as connection:
            rows, _ = self._statements.load.run(connection, {"record_id": id, "now": now})
            self._compare(rows, id)
        return _record(rows[0]) if rows else None

    def _compare(self, rows: Sequence[Sequence[Any]], id: str) -> None:
        """Throw the connection away if it gives another statement's answer."""
        if rows and rows[0][0] != id:
            raise self._driver.InternalError("the connection gives another statement's answer")

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        values = {
            "record_id": record.id,
            "expected_version": expected_version,
            "now": now,
            "payload": record.payload,
            "seen_at": record.seen_at,
            "expires_at": record.expires_at,
            "token_confirmed": record.token_confirmed,
        }
        # Never tried twice: had the first attempt arrived, a merge would double its insertions.
        try:
            return self._execute(self._statements.save, values) == 1
        except ConflictError:
            return False

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        raised: list[Exception] = []

        def guarded(newest: Record) -> Record | None:
            process = os.getpid()
            try:
                changed = change(newest)
            except self._driver.Error as exc:  # the app's, of a database of its own
                raised.append(exc)
                changed = newest
            _refuse_in_a_child_of(process)
            return changed

        stored = self._again(self._update, id, now, guarded)
        if raised:
            raise raised[0]
        return stored

    def _again(self, work: Callable[..., T], *args: Any) -> T:
        """Call `work` until no parallel transaction is first, `_TRIES` times at most."""
        for _ in range(_TRIES - 1):
            with suppress(ConflictError):
                return work(*args)
        return work(*args)

    def _update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        statements = self._statements
        with self._connection() as connection, self._transaction(connection):
            rows, _ = statements.lock.run(connection, {"record_id": id, "now": now})
            if not rows:
                return None
            self._compare(rows, id)
            newest = _record(rows[0])
            changed = change(newest)
            if changed is None:
                statements.delete.run(connection, {"record_id": id})
                return None
            if changed is newest:
                return newest
            stored = replace(
                changed, id=id, created_at=newest.created_at, version=newest.version + 1
            )
            values = {name: getattr(stored, name) for name in CHANGEABLE}
            statements.update.run(connection, values | {"record_id": id})
            return stored

    def delete(self, id: str) -> bool:
        values = {"record_id": id}
        try:
            return self._again(self._execute, self._statements.delete, values) == 1
        except LostConnectionError:
            self.close()
            return self._execute(self._statements.delete, values) == 1

    def prune(self, now: datetime, limit: int) -> int:
        values = {"now": now, "batch": min(limit, _MAX_LIMIT)}
        connection = self._sweeping.get(get_ident())
        if connection is None:
            return self._execute(self._statements.prune, values)
        # A second connection might be one too many. Each batch is a transaction, lock included.
        _, count = self._statements.prune.run(connection, values)
        for statement in (self._statements.commit, self._statements.begin, self._statements.sweep):
            assert statement is not None
            statement.run(connection, {})
        return count

    def count_expired(self, now: datetime) -> int:
        with self._connection() as connection:
            rows, _ = self._statements.count_expired.run(connection, {"now": now})
        count: int = rows[0][0]
        return count

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        lock = self._statements.sweep
        if lock is None:
            yield True
            return
        with self._connection() as connection, self._transaction(connection):
            rows, _ = lock.run(connection, {})
            self._sweeping[get_ident()] = connection
            try:
                yield rows[0][0]
            finally:
                del self._sweeping[get_ident()]

    def close(self) -> None:
        self.engine.dispose()

    def _execute(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """Run one statement, return how many rows it wrote."""
        with self._connection() as connection:
            _, count = statement.run(connection, values)
        return count

    def _connection(self, *, waits: bool = True) -> Lease:
        """Lease a connection; `waits`: a statement may have to wait for a row's lock."""
        forks.notice()
        return Lease(self.engine, self._database, self._breaker, self._explain, waits=waits)

    @contextmanager
    def _transaction(self, connection: Any) -> Iterator[None]:
        statements = self._statements
        process, thread = os.getpid(), get_ident()
        statements.begin.run(connection, {})
        self._in_transaction.add(thread)
        try:
            yield
        except self._driver.Error:
            raise  # the connection is thrown away, and the transaction with it
        except Exception:  # no interruption: that leaves a busy connection, thrown away as well
            if process == os.getpid():
                statements.rollback.run(connection, {})
            raise
        finally:
            self._in_transaction.discard(thread)
        statements.commit.run(connection, {})

    def _explain(self, exc: Exception) -> str:
        if self._database.is_missing_table(exc):
            return f"there is no table {self.table.fullname}: {_TABLE_IS_MISSING}"
        return one_line(exc)


def _record(row: Sequence[Any]) -> Record:
    record = Record(*row)
    # SQLite keeps anything in any column
    if (
        isinstance(record.payload, str)
        and isinstance(record.version, int)
        and isinstance(record.token_hash, bytes)
        and isinstance(record.old_token_hash, bytes | None)
    ):
        return record
    raise MalformedRecordError(
        f"the row of session {row[0]}: payload, version or a token's hash is of another type"
    )


def _refuse_in_a_child_of(process: int) -> None:
    """Raise `StoreError` if `change` has forked, and this is the child."""
    if process != os.getpid():
        raise StoreError("the transaction is that of the process that forked this one")
