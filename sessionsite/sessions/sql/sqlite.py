"""SQLite: how a connection is prepared, and statements on the driver's cursor."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ..ini import ConfigurationError
from ..store import MalformedRecordError
from ..waiting import MOMENT, Waiter, WaitingRoom, wait_alone
from .database import Database, EngineOptions, Fault
from .values import one_line

log = logging.getLogger(__name__)

_PATIENCE = 60_000  # milliseconds
# SQLAlchemy knows a connection that is lost by the last words.
_LOST = "the file was deleted or replaced while it was open: Cannot operate on a closed database."
_Convert = Callable[[Any], Any]


class SQLite(Database):
    """The `Database` for a try-out, and for a site on one host."""

    where = "in an SQLite database"
    durability = "is on the server's disk"
    replication = "to no other machine"
    # SQLite keeps its locks per file and process, and a child takes its parent's for its own
    survives_forks = False
    creation_isolation = "SERIALIZABLE"
    sweep_locks = None
    owner_lock = None
    counts_what_it_deletes = False
    commits_at_once = None

    def engine_options(self, url: str, timeout: int) -> EngineOptions:
        made = make_url(url)
        if made.username or made.host:  # SQLAlchemy's own error shows them
            raise ConfigurationError("SQLite has no hosts: give sqlite:///file")
        if made.database in (None, "", ":memory:"):
            raise ConfigurationError(
                "SQLite in memory is another database for each thread: name a file"
            )
        if "?" in url and "uri" not in made.query:
            raise ConfigurationError(
                "a file has no parameters: remove what follows the ?, and name a file without one"
            )
        # "named": the names that the statements give to their parameters
        # SQLite's own wait holds the thread: after a moment we look whether that is too many.
        connect = {"timeout": MOMENT / 2, "factory": StoreSQLiteConnection}
        arguments = {"connect_args": connect, "paramstyle": "named"}
        return EngineOptions(made, arguments)

    def listen(self, engine: sa.Engine, timeout: int, change_timeout: int) -> None:
        """Have each connection put the file into WAL mode, waiting for `timeout` seconds.

        In that mode readers and the one writer do not wait for each other.
        """

        pool: Any = engine.pool

        # Beside the moment's wait of the first try and of the last.
        seconds = max(MOMENT / 2, 0.9 * timeout - MOMENT)

        def prepare(connection: Any, _record: Any) -> None:
            connection.seconds = seconds
            connection.room = pool.room
            # The file is switched once, and a connection that comes at that moment is told
            # "locked" without SQLite's usual wait.
            deadline = monotonic() + seconds
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as exc:
                    if not self.is_locked(exc) or monotonic() > deadline:
                        raise
                    sleep(0.01)

        sa.event.listen(engine, "connect", prepare)

    def statement(
        self, name: str, statement: sa.Executable, dialect: sa.Dialect
    ) -> "SQLiteStatement":
        return SQLiteStatement(statement, dialect)

    def begin(self, dialect: sa.Dialect, *, for_change: bool) -> "SQLiteStatement":
        return SQLiteStatement(sa.text("BEGIN IMMEDIATE"), dialect)

    def give_time(self, connection: Any) -> None:
        """Do nothing: the wait for the file is all that has a limit."""

    def take_time(self, connection: Any) -> None:
        """Do nothing."""

    def keeps_locks(self, connection: Any) -> bool:
        return True

    def lock_creation(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENCE}")  # nobody waits for us
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def clock_fault(self, connection: sa.Connection) -> Fault | None:
        return None  # it has this host's

    def faults(self, connection: sa.Connection, table: sa.Table) -> Iterable[Fault]:
        return ()

    def prepare_upgrade(self, connection: sa.Connection) -> bool:
        return True  # a writer has the file for itself, and each step is a transaction

    def prepare_index(self, connection: sa.Connection, name: str, schema: str | None) -> None:
        """Do nothing: no index is left half built."""

    def is_others_turn(self, error: Exception) -> bool:
        done = ("already exists", "duplicate column name", "UNIQUE constraint failed")
        return self.is_locked(error) or any(words in str(error) for words in done)

    def is_missing_table(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.Error) and str(error).startswith("no such table")

    def is_missing_column(self, error: Exception) -> bool:
        text = str(error)
        return isinstance(error, sqlite3.Error) and (
            "no such column" in text or " no column named " in text
        )

    def is_forbidden(self, error: Exception) -> bool:
        return False  # it has no roles

    def is_taken(self, error: Exception) -> bool:
        kinds = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
        return getattr(error, "sqlite_errorname", "") in kinds

    def is_conflict(self, error: Exception) -> bool:
        return False  # writers wait for each other

    def is_locked(self, error: Exception) -> bool:
        return _is_locked(error)

    def is_time_out(self, error: Exception) -> bool:
        return self.is_locked(error)  # there is nothing else to wait for

    def is_unreplicated(self, error: Exception) -> bool:
        return False


class StoreSQLiteConnection(sqlite3.Connection):
    """A connection that waits for the file as the waiting room allows.

    If the file is deleted or replaced, SQLite goes on with the one that it has open, and all that
    is written there is gone when it is closed. This connection closes itself then.
    """

    seconds = 5.0
    room: WaitingRoom | None = None
    waiter: Waiter | None = None

    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(database, **options)
        self._path = None if options.get("uri") else database
        self._opened = self._file()

    def _file(self) -> tuple[int, int] | None:
        """Return which file has the path now; None if there is none."""
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # it can't be asked, and may be there
            return self._opened
        return found.st_dev, found.st_ino

    def run(self, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Execute a statement. Raises sqlite3's errors, and `StoreBusyError`."""
        if self._file() != self._opened:
            log.warning(
                "The database file was deleted or replaced while it was open: %s", self._path
            )
            self.close()
            raise sqlite3.ProgrammingError(_LOST)
        found = self._try(sql, values)

        def ready(_seconds: float) -> bool:
            nonlocal found
            found = self._try(sql, values)
            return isinstance(found, sqlite3.Cursor)

        if isinstance(found, sqlite3.OperationalError):
            if self.room is None or self.waiter is None:
                wait_alone(ready, self.seconds)
            else:
                self.room.wait(self.waiter, ready, self.seconds)
        if isinstance(found, sqlite3.OperationalError):
            raise found
        return found

    def _try(
        self, sql: str, values: Mapping[str, Any]
    ) -> sqlite3.Cursor | sqlite3.OperationalError:
        """Return the error if another connection has the file locked, after a moment's wait."""
        try:
            return self.execute(sql, values)
        except sqlite3.OperationalError as exc:
            if not _is_locked(exc):
                raise
            return exc


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
        self,
        connection: StoreSQLiteConnection,
        values: Mapping[str, Any],
        *,
        skip_malformed: bool = False,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Return the rows, and how many were read or written. Raises sqlite3's errors."""
        encode = self._encode
        encoded = {name: encode[name](value) for name, value in values.items()}
        try:
            cursor = connection.run(self._sql, self._constants | encoded)
        except UnicodeEncodeError as exc:  # half of a surrogate pair, in an id
            raise sqlite3.DataError(str(exc)) from exc
        found = cursor.fetchall()
        rows = []
        for row in found:
            try:
                rows.append(self._decoded(row))
            except MalformedRecordError:
                if not skip_malformed:
                    raise
        return rows, len(found) if self._decode else cursor.rowcount

    def _decoded(self, row: Sequence[Any]) -> list[Any]:
        try:
            return [
                None if value is None else decode(value)
                for value, decode in zip(row, self._decode, strict=True)
            ]
        except (ValueError, TypeError, AttributeError, OverflowError) as exc:
            raise MalformedRecordError(f"the row of session {row[0]}: {one_line(exc)}") from exc


def _is_locked(error: Exception) -> bool:
    # Recovery after a crash, for one, has a name of its own: SQLITE_BUSY_RECOVERY.
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def _unchanged(value: Any) -> Any:
    return value
