"""The session store in SQL: PostgreSQL in production, SQLite for a try-out. No ORM.

SQLAlchemy describes the statements, compiles them once, and owns the pool; they then run on the
driver's own connection, which saves most of what a statement costs. A statement that is the whole
work runs in AUTOCOMMIT mode: one round trip, no BEGIN, no COMMIT.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .engine import make_engine
from .lease import Lease, LostConnectionError
from .outage import Outage
from .settings import SQLSettings
from .statements import CHANGEABLE, COLUMNS, compile_statements
from .store import MalformedRecordError, Record, RecordExistsError
from .table import create_table, one_line, sessions_table

_WHERE = {"postgresql": "in a PostgreSQL database", "sqlite": "in an SQLite database"}
_TABLE_IS_MISSING = "run `sessionsite init-db` with this .ini file"


class SQLAlchemyStore:
    """`SessionStore` over one table; thread-safe. Times are stored to the microsecond."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self.engine = engine
        self.table = table
        self.where = _WHERE[engine.dialect.name]
        self._driver: Any = engine.dialect.loaded_dbapi
        self._statements = compile_statements(table, engine.dialect)
        self._outage = Outage()

    def create(self, record: Record) -> None:
        row = {name: getattr(record, name) for name in COLUMNS} | {"version": 1}
        try:
            self._execute("create", row)
        except LostConnectionError:
            self._forget_connections()
            try:
                self._execute("create", row)
            except RecordExistsError:
                return  # the first attempt had arrived, only its answer was lost

    def load(self, key: bytes, now: datetime) -> Record | None:
        try:
            return self._load(key, now)
        except LostConnectionError:
            self._forget_connections()
            return self._load(key, now)  # reading twice does no harm, and nobody sees the restart

    def _load(self, key: bytes, now: datetime) -> Record | None:
        values = {"key": key, "now": now}
        with self._connection(waits=False) as connection:
            rows, _ = self._statements["load"].run(connection, values)
            if not rows:
                rows, _ = self._statements["load_old"].run(connection, values)
        return _record(rows[0]) if rows else None

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        # Never tried twice: had the first attempt arrived, a merge would double its insertions.
        written = self._execute(
            "save",
            {
                "record_id": record.id,
                "expected_version": expected_version,
                "now": now,
                "payload": record.payload,
                "seen_at": record.seen_at,
                "expires_at": record.expires_at,
            },
        )
        return written == 1

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        raised: list[Exception] = []

        def guarded(newest: Record) -> Record | None:
            try:
                return change(newest)
            except self._driver.Error as exc:  # the app's, of a database of its own
                raised.append(exc)
                return newest

        stored = self._update(id, now, guarded)
        if raised:
            raise raised[0]
        return stored

    def _update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        statements = self._statements
        with self._connection() as connection, self._transaction(connection):
            rows, _ = statements["lock"].run(connection, {"record_id": id, "now": now})
            if not rows:
                return None
            newest = _record(rows[0])
            changed = change(newest)
            if changed is None:
                statements["delete"].run(connection, {"record_id": id})
                return None
            if changed is newest:
                return newest
            stored = replace(changed, version=newest.version + 1)
            values = {name: getattr(stored, name) for name in CHANGEABLE}
            statements["update"].run(connection, values | {"record_id": id})
            return stored

    def delete(self, id: str) -> None:
        try:
            self._execute("delete", {"record_id": id})
        except LostConnectionError:
            self._forget_connections()
            self._execute("delete", {"record_id": id})

    def prune(self, now: datetime, limit: int) -> int:
        return self._execute("prune", {"now": now, "batch": limit})

    def count_expired(self, now: datetime) -> int:
        """Return how many rows there are to prune."""
        with self._connection() as connection:
            rows, _ = self._statements["count_expired"].run(connection, {"now": now})
        count: int = rows[0][0]
        return count

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        """Give True to one process at a time; the others get False and leave the sweep to it."""
        if self.engine.dialect.name != "postgresql":
            yield True
            return
        with self._connection() as connection, self._transaction(connection):
            rows, _ = self._statements["sweep"].run(connection, {})
            yield rows[0][0]

    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        """Run one statement, return how many rows it wrote."""
        with self._connection() as connection:
            _, count = self._statements[name].run(connection, values)
        return count

    def _forget_connections(self) -> None:
        """The server was restarted since it was last asked: the pool's others are dead as well."""
        self.engine.dispose()

    def _connection(self, *, waits: bool = True) -> Lease:
        """A connection for a `with`; `waits`: a statement may have to wait for a row's lock."""
        return Lease(self.engine, self._outage, self._explain, waits)

    @contextmanager
    def _transaction(self, connection: Any) -> Iterator[None]:
        statements = self._statements
        statements["begin"].run(connection, {})
        try:
            yield
        except self._driver.Error:
            raise  # the connection is thrown away, and the transaction with it
        except Exception:  # no interruption: that leaves a busy connection, thrown away as well
            statements["rollback"].run(connection, {})
            raise
        statements["commit"].run(connection, {})

    def _explain(self, exc: Exception) -> str:
        text = one_line(exc)
        if getattr(exc, "sqlstate", None) == "42P01" or text.startswith("no such table"):
            return f"there is no table {self.table.fullname}: {_TABLE_IS_MISSING}"
        return text


def _record(row: Sequence[Any]) -> Record:
    record = Record(*row)
    # SQLite keeps anything in any column
    if isinstance(record.payload, str) and isinstance(record.version, int):
        return record
    raise MalformedRecordError(
        f"the row of session {row[0]}: payload or version is of another type"
    )


def store_from_settings(settings: SQLSettings) -> SQLAlchemyStore:
    """Return the store that `settings` describe; creates the table if they say so.

    Raises `ConfigurationError`, and with `create_table` also `StoreError`.
    """
    engine = make_engine(settings)
    table = sessions_table(settings.table, settings.schema)
    if settings.create_table:
        create_table(engine, table)
    return SQLAlchemyStore(engine, table)
