"""Which version of the table a database has, and the steps to the newest one.

The steps are Alembic's, in `migrations/`. The version is in a table beside ours, `NAME_version`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ..store import StoreError
from .database import Database
from .engine import database_of
from .table import status_table
from .values import driver_error, one_line

VERSIONS = {"0001": "token_confirmed", "0002": "persistent", "0003": None}
"""Each version, the newest last, and the last column of the table that came with it, if any."""
NEWEST = max(VERSIONS)
_LAST_WITH_COLUMNS = max(version for version, column in VERSIONS.items() if column)
_PATIENCE = 120  # seconds, for locks of others


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the steps get: `context.config.attributes["sessionsite"]`."""

    connection: sa.Connection
    table: sa.Table
    database: Database

    @property
    def version_table(self) -> str:
        return f"{self.table.name}_version"

    def columns(self) -> set[str]:
        """Return the names of the columns that there are; empty where there is no table."""
        try:
            found = sa.inspect(self.connection).get_columns(self.table.name, self.table.schema)
        except sa.exc.NoSuchTableError:
            return set()
        return {column["name"] for column in found}

    def prepare_index(self, name: str) -> None:
        """Drop an index that was left half built, and take time for a new one."""
        self.database.prepare_index(self.connection, name, self.table.schema)

    def said(self) -> str | None:
        """Return the version that the database says; None where it says none, or not to us."""
        number: sa.ColumnClause[str] = sa.column("version_num")
        said = sa.select(number).select_from(
            sa.table(self.version_table, number, schema=self.table.schema)
        )
        try:
            with self.connection.begin():
                version: str | None = self.connection.scalar(said)
        except (sa.exc.ProgrammingError, sa.exc.OperationalError):
            return None
        return version

    def shown(self) -> str | None:
        """Return the version that the columns show; None: there is no table.

        A table that an app's own migrations have made says none, and a role may not be allowed to
        read what it says.
        """
        there = self.columns()
        shown = max((v for v, column in VERSIONS.items() if column in there), default=None)
        has_status = sa.inspect(self.connection).has_table(
            status_table(self.table.name).name, self.table.schema
        )
        return "0003" if shown == _LAST_WITH_COLUMNS and has_status else shown


def upgrade_table(engine: sa.Engine, table: sa.Table) -> tuple[str, str]:
    """Bring `table` to the newest version, step by step; return the versions before and after.

    Safe to repeat, after an interruption too, and from several hosts at once. Reads and writes go
    on meanwhile: a lock that they would have to wait for is asked for in turns of a second. Raises
    `StoreError`.
    """

    def work(upgrade: Upgrade) -> tuple[str, str]:
        said = upgrade.said()
        before = said or upgrade.shown()
        if before is None:
            raise StoreError(f"there is no table {table.fullname}: run `sessionsite init-db`")
        if before not in VERSIONS:
            raise StoreError(_unknown(table, before))
        upgrade.connection.commit()  # Alembic begins and ends its own transactions
        if said is None:
            _alembic(upgrade, "stamp", before)
            upgrade.connection.commit()  # nothing was stamped if another host did: only read
        _alembic(upgrade, "upgrade", "head")
        return before, NEWEST

    return _exclusively(engine, table, work)


def stamp(connection: sa.Connection, table: sa.Table, database: Database) -> None:
    """Say in the database that `table`, just made, is of the newest version."""
    _alembic(Upgrade(connection, table, database), "stamp", "head")


def remark(engine: sa.Engine, table: sa.Table) -> str | None:
    """Return what is to be said of the table's version, or else of clocks that are apart.

    None where all is well. Raises `StoreError`.
    """

    def ask(upgrade: Upgrade) -> str | None:
        if said := _remark_of_table(upgrade):
            return said
        fault = upgrade.database.clock_fault(upgrade.connection)
        return None if fault is None else f"{fault.text}: {fault.mend}"

    return _asked(engine, table, ask)


def remark_of_table(engine: sa.Engine, table: sa.Table) -> str | None:
    """Return what is to be said of the table's version; None where it is the one to be.

    Raises `StoreError`.
    """
    return _asked(engine, table, _remark_of_table)


def _asked(engine: sa.Engine, table: sa.Table, ask: Callable[[Upgrade], str | None]) -> str | None:
    try:
        with engine.connect() as connection:
            return ask(Upgrade(connection, table, database_of(engine)))
    except SQLAlchemyError as exc:
        raise StoreError(one_line(driver_error(exc))) from exc


def _remark_of_table(upgrade: Upgrade) -> str | None:
    table, said = upgrade.table, upgrade.said()
    version = said or upgrade.shown()
    if version is None:
        return f"there is no table {table.fullname}: run `sessionsite init-db`"
    if version not in VERSIONS:
        return _unknown(table, version)
    if said is None and version == _LAST_WITH_COLUMNS:
        return None  # made by an app's own migrations, and all that requests need
    if version != NEWEST:
        return (
            f"table {table.fullname} is of version {version}, and this program needs {NEWEST}: "
            "run `sessionsite upgrade-db`"
        )
    return None


def _unknown(table: sa.Table, version: str) -> str:
    return (
        f"table {table.fullname} is of version {version}, which is newer than this program, that "
        f"knows {NEWEST}: install the newer one"
    )


class _OutpacedError(Exception):
    """Another process upgrades the table, or has done so meanwhile."""


def _exclusively(
    engine: sa.Engine, table: sa.Table, work: Callable[[Upgrade], tuple[str, str]]
) -> tuple[str, str]:
    database = database_of(engine)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with engine.connect() as connection:
                if not database.prepare_upgrade(connection):
                    raise _OutpacedError("another upgrade is under way")
                connection.commit()
                connection.execution_options(isolation_level=database.creation_isolation)
                return work(Upgrade(connection, table, database))
        except (SQLAlchemyError, _OutpacedError) as exc:
            error = driver_error(exc)
            waits = isinstance(exc, _OutpacedError) or (
                isinstance(error, Exception) and database.is_others_turn(error)
            )
            if not waits or time.monotonic() > deadline:
                reason = one_line(error)
                raise StoreError(f"can't upgrade table {table.fullname}: {reason}") from exc
        finally:
            engine.dispose()  # with the connection goes the lock
        time.sleep(0.5)


def _alembic(upgrade: Upgrade, command: str, version: str) -> None:
    from alembic import command as commands  # a server needs none of it
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"sessionsite": upgrade})
    folder = str(Path(__file__).with_name("migrations")).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    try:
        getattr(commands, command)(config, version)
    except CommandError as exc:  # the version that it was to replace is not there any more
        raise _OutpacedError(one_line(exc)) from exc
