"""SQLite: how a connection is prepared, and statements on the driver's cursor."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ..ini import ConfigurationError
from ..store import MalformedRecordError
from .database import Database, EngineOptions, Fault
from .values import one_line

_Convert = Callable[[Any], Any]


class SQLite(Database):
    """The `Database` for a try-out, and for a site on one host."""

    where = "in an SQLite database"
    begin = sa.text("BEGIN IMMEDIATE")
    # SQLite keeps its locks per file and process, and a child takes its parent's for its own
    survives_forks = False
    creation_isolation = "SERIALIZABLE"
    sweep_locks = None
    owner_lock = None
    counts_what_it_deletes = False

    def engine_options(self, url: str, timeout: int) -> EngineOptions:
        made = make_url(url)
        if made.username or made.host:  # SQLAlchemy's own error shows them
            raise ConfigurationError("SQLite has no hosts: give sqlite:///file")
        if made.database in (None, "", ":memory:"):
            raise ConfigurationError(
                "SQLite in memory is another database for each thread: name a file"
            )
        # "named": the names that the statements give to their parameters
        arguments = {"connect_args": {"timeout": timeout}, "paramstyle": "named"}
        return EngineOptions(made, arguments)

    def listen(self, engine: sa.Engine, timeout: int) -> None:
        """Have each connection put the file into WAL mode, waiting for `timeout` seconds.

        In that mode readers and the one writer do not wait for each other.
        """

        def prepare(connection: Any, _record: Any) -> None:
            # The file is switched once, and a connection that comes at that moment is told
            # "locked" without SQLite's usual wait.
            deadline = monotonic() + timeout
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError:
                    if monotonic() > deadline:
                        raise
                    sleep(0.01)

        sa.event.listen(engine, "connect", prepare)

    def statement(
        self, name: str, statement: sa.Executable, dialect: sa.Dialect
    ) -> "SQLiteStatement":
        return SQLiteStatement(statement, dialect)

    def keeps_locks(self, connection: Any) -> bool:
        return True

    def lock_creation(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def faults(self, connection: sa.Connection, table: sa.Table) -> Iterable[Fault]:
        return ()

    def prepare_upgrade(self, connection: sa.Connection) -> bool:
        return True  # a writer has the file for itself, and each step is a transaction

    def prepare_index(self, connection: sa.Connection, name: str, schema: str | None) -> None:
        """Do nothing: no index is left half built."""

    def is_others_turn(self, error: Exception) -> bool:
        done = ("already exists", "duplicate column name")
        busy = getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY"
        return busy or any(words in str(error) for words in done)

    def is_missing_table(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error) and str(error).startswith("no such table")

    def is_missing_column(self, error: Exception) -> bool:
        text = str(error)
        return isinstance(error, sqlite3.Error) and (
            "no such column" in text or " no column named " in text
        )

    def is_taken_id(self, error: Exception) -> bool:
        return getattr(error, "sqlite_errorname", "") == "SQLITE_CONSTRAINT_PRIMARYKEY"

    def is_conflict(self, error: Exception) -> bool:
        return False  # writers wait for each other

    def is_silence(self, error: Exception) -> bool:
        return False  # a file answers


class SQLiteStatement:
    """A statement described in SQLAlchemy."""

    def __init__(self, statement: Any, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._constants = {k: v for k, v in compiled.params.items() if v is not None}
        self._encode = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) or _unchanged
            for name, bind in compiled.binds.items()
        }
        self._decode: list[_Convert] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) or _unchanged
            for column in getattr(statement, "exported_columns", ())
        ]

    def run(
        self, connection: sqlite3.Connection, values: Mapping[str, Any]
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Return the rows, and how many were read or written. Raises sqlite3's errors."""
        encode = self._encode
        encoded = {name: encode[name](value) for name, value in values.items()}
        try:
            cursor = connection.execute(self._sql, self._constants | encoded)
        except UnicodeEncodeError as exc:  # half of a surrogate pair, in an id
            raise sqlite3.DataError(str(exc)) from exc
        rows = [self._decoded(row) for row in cursor.fetchall()]
        return rows, len(rows) if self._decode else cursor.rowcount

    def _decoded(self, row: Sequence[Any]) -> list[Any]:
        try:
            return [
                None if value is None else decode(value)
                for value, decode in zip(row, self._decode, strict=True)
            ]
        except (ValueError, TypeError, AttributeError, OverflowError) as exc:
            raise MalformedRecordError(f"the row of session {row[0]}: {one_line(exc)}") from exc


def _unchanged(value: Any) -> Any:
    return value
