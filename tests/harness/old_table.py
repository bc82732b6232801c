"""The table as it was before sessions had owners, and a store that knows no more than that."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from sessionsite.sessions.sql import SQLAlchemyStore, make_engine, sessions_table, statements, store
from tests.harness.stores import settings_of, sql_store

NEW_COLUMNS = ("owner", "label", "timeout", "lifetime", "persistent")


def make_old_table(url: str, table: str = "sessions") -> None:
    """Create the table of version 0001, on an empty database."""
    made = sql_store(url, table=table)
    with made.engine.connect() as connection:  # in AUTOCOMMIT mode
        connection.exec_driver_sql(f"DROP TABLE {table}_version")
        connection.exec_driver_sql(f"DROP INDEX {table}_owner")
        for column in NEW_COLUMNS:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
    made.close()


def old_store(settings: Mapping[str, Any]) -> SQLAlchemyStore:
    """What `session.store` names in a process of the version before: it does not come back.

    Its statements are those of that version, word for word.
    """
    old = tuple(name for name in statements.COLUMNS if name not in NEW_COLUMNS)
    changeable = tuple(name for name in old if name not in ("id", "created_at"))
    for module in (statements, store):
        module.COLUMNS, module.CHANGEABLE = old, changeable  # type: ignore[attr-defined]
    url = settings["session.store.url"]
    return SQLAlchemyStore(make_engine(settings_of(url)), sessions_table())


def columns_of(engine: sa.Engine) -> list[str]:
    return [column["name"] for column in sa.inspect(engine).get_columns("sessions")]
