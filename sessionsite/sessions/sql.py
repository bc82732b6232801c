"""The session store in SQL: PostgreSQL in production, SQLite for a try-out. No ORM.

SQLAlchemy describes the statements, compiles them once, and owns the pool; they then run on the
driver's own cursor, which saves most of what a statement costs. A statement that is the whole
work runs in AUTOCOMMIT mode: one round trip, no BEGIN, no COMMIT.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .engine import NoAnswerError, make_engine
from .outage import Outage
from .settings import SQLSettings
from .statements import CHANGEABLE, COLUMNS, TIMES, compile_statements
from .store import MalformedRecordError, Record, RecordExistsError, StoreError
from .table import ADVISORY_LOCK, UTCDateTime, create_table, one_line, sessions_table

_WHERE = {"postgresql": "in a PostgreSQL database", "sqlite": "in an SQLite database"}
_Convert = Callable[[Any], Any]
_TABLE_IS_MISSING = "run `sessionsite init-db` with this .ini file"


class LostConnectionError(StoreError):
    """The connection broke under a statement, whose outcome is unknown."""


class SQLAlchemyStore:
    """`SessionStore` over one table; thread-safe. Times are stored to the microsecond."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        self.engine = engine
        self.table = table
        self.where = _WHERE[engine.dialect.name]
        self._driver: Any = engine.dialect.loaded_dbapi
        self._statements = compile_statements(table, engine.dialect)
        self._outage = Outage()
        types = UTCDateTime().dialect_impl(engine.dialect)
        self._time_in: _Convert = types.bind_processor(engine.dialect) or _unchanged
        self._time_out: _Convert = types.result_processor(engine.dialect, None) or _unchanged
        self._begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"

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
            row = self._load(key, now)
        except LostConnectionError:
            self._forget_connections()
            row = self._load(key, now)  # reading twice does no harm, and nobody sees the restart
        return None if row is None else self._record(row)

    def _load(self, key: bytes, now: datetime) -> Any:
        with self._cursor(waits=False) as cursor:
            self._run(cursor, "load", {"key": key, "now": now})
            row = cursor.fetchone()
            if row is None:
                self._run(cursor, "load_old", {"key": key, "now": now})
                row = cursor.fetchone()
        return row

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
        with self._cursor() as cursor, self._transaction(cursor):
            self._run(cursor, "lock", {"record_id": id, "now": now})
            row = cursor.fetchone()
            if row is None:
                return None
            newest = self._record(row)
            changed = change(newest)
            if changed is None:
                self._run(cursor, "delete", {"record_id": id})
                return None
            if changed is newest:
                return newest
            stored = replace(changed, version=newest.version + 1)
            values = {name: getattr(stored, name) for name in CHANGEABLE}
            self._run(cursor, "update", values | {"record_id": id})
            return stored

    def delete(self, id: str) -> None:
        try:
            self._execute("delete", {"record_id": id})
        except LostConnectionError:
            self._forget_connections()
            self._execute("delete", {"record_id": id})

    def prune(self, now: datetime, limit: int) -> int:
        with self._cursor() as cursor:
            self._run(cursor, "prune", {"now": now, "batch": limit})
            return len(cursor.fetchall())

    def count_expired(self, now: datetime) -> int:
        """Return how many rows there are to prune."""
        with self._cursor() as cursor:
            self._run(cursor, "count_expired", {"now": now})
            count: int = cursor.fetchone()[0]
        return count

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        """Give True to one process at a time; the others get False and leave the sweep to it."""
        if self.engine.dialect.name != "postgresql":
            yield True
            return
        with self._cursor() as cursor, self._transaction(cursor):
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (ADVISORY_LOCK + 1,))
            yield cursor.fetchone()[0]

    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        """Run one statement, return how many rows it wrote."""
        with self._cursor() as cursor:
            self._run(cursor, name, values)
            rows: int = cursor.rowcount
        return rows

    def _run(self, cursor: Any, name: str, values: Mapping[str, Any]) -> None:
        statement, defaults = self._statements[name]
        time_in = self._time_in
        cursor.execute(
            statement,
            defaults | {k: time_in(v) if isinstance(v, datetime) else v for k, v in values.items()},
        )

    def _forget_connections(self) -> None:
        """The server was restarted since it was last asked: the pool's others are dead as well."""
        self.engine.dispose()

    @contextmanager
    def _cursor(self, *, waits: bool = True) -> Iterator[Any]:
        """A driver's cursor on a connection of the pool; any failure is a `StoreError`.

        `waits` says that a statement may have to wait for a row's lock: then silence is no
        outage.
        """
        try:
            with self._outage.watch() as outage:
                try:
                    connection = self.engine.raw_connection()
                except (self._driver.Error, sa.exc.SQLAlchemyError) as exc:
                    outage.begin(self._explain(exc))
                    raise
                try:
                    with closing(connection.cursor()) as cursor:
                        yield cursor
                    outage.end()
                except self._driver.Error as exc:
                    lost = self.engine.dialect.is_disconnect(exc, connection.dbapi_connection, None)
                    # Its state is unknown, and errors are rare: the pool opens another.
                    connection.invalidate(exc)
                    if lost:
                        raise LostConnectionError(one_line(exc)) from exc
                    if isinstance(exc, NoAnswerError) and not waits:
                        outage.begin(one_line(exc))
                    raise
                finally:
                    connection.close()
        except self._driver.IntegrityError as exc:
            raise RecordExistsError("a session with this id or key exists") from exc
        except (self._driver.Error, sa.exc.SQLAlchemyError) as exc:
            raise StoreError(self._explain(exc)) from exc

    @contextmanager
    def _transaction(self, cursor: Any) -> Iterator[None]:
        cursor.execute(self._begin)
        try:
            yield
        except self._driver.Error:
            raise  # the connection is thrown away, and the transaction with it
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    def _record(self, row: Any) -> Record:
        time = self._time_out
        values = dict(zip(COLUMNS, row, strict=True))
        try:
            if not (isinstance(values["payload"], str) and isinstance(values["version"], int)):
                raise TypeError("payload or version is of another type")
            for name in TIMES:
                values[name] = time(values[name])
            values["old_open"] = bool(values["old_open"])
            return Record(**values)
        except (TypeError, ValueError, AttributeError) as exc:
            raise MalformedRecordError(f"the row of session {row[0]}: {one_line(exc)}") from exc

    def _explain(self, exc: Exception) -> str:
        text = one_line(exc)
        if getattr(exc, "sqlstate", None) == "42P01" or text.startswith("no such table"):
            return f"there is no table {self.table.fullname}: {_TABLE_IS_MISSING}"
        return text


def _unchanged(value: Any) -> Any:
    return value


def store_from_settings(settings: SQLSettings) -> SQLAlchemyStore:
    """Return the store that `settings` describe; creates the table if they say so.

    Raises `ConfigurationError`, and with `create_table` also `StoreError`.
    """
    engine = make_engine(settings)
    table = sessions_table(settings.table, settings.schema)
    if settings.create_table:
        create_table(engine, table)
    return SQLAlchemyStore(engine, table)
