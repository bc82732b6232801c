"""Creates the table: `sessionsite init-db`, and `session.sql.create_table` at start."""

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from ..store import StoreError
from .engine import database_of
from .table import status_table
from .upgrade import stamp
from .values import driver_error, one_line


def create_table(engine: sa.Engine, table: sa.Table) -> bool:
    """Create `table` where it is missing; return whether it was.

    Safe to repeat, and from several hosts at once: they wait for each other on a lock. Raises
    `StoreError`, also where a table of that name lacks a column.
    """
    database = database_of(engine)
    try:
        with engine.connect().execution_options(
            isolation_level=database.creation_isolation
        ) as connection:
            database.lock_creation(connection)
            inspector = sa.inspect(connection)
            created = not inspector.has_table(table.name, schema=table.schema)
            if created:
                connection.execute(CreateTable(table))
                status = CreateTable(status_table(table.name, table.schema), if_not_exists=True)
                connection.execute(status)
                for index in sorted(table.indexes, key=lambda index: str(index.name)):
                    connection.execute(CreateIndex(index))
                stamp(connection, table, database)
            columns = {c["name"] for c in inspector.get_columns(table.name, table.schema)}
            connection.commit()
    except sa.exc.SQLAlchemyError as exc:
        reason = one_line(driver_error(exc))
        raise StoreError(f"can't create table {table.fullname}: {reason}") from exc
    finally:
        engine.dispose()  # a process that forks after this must not share the connection
    missing = ", ".join(sorted(set(table.columns.keys()) - columns))
    if missing:
        raise StoreError(
            f"table {table.fullname} exists, but lacks the columns {missing}: if it is an older "
            "one of ours, run `sessionsite upgrade-db`"
        )
    return created
