"""The SQL store, as the .ini keys describe it."""

from collections.abc import Mapping
from typing import Any

from ..sql_settings import sql_settings
from .creation import create_table
from .engine import make_engine
from .store import SQLAlchemyStore
from .table import sessions_table


def store_from_settings(settings: Mapping[str, Any]) -> SQLAlchemyStore:
    """Return the store that `session.sql.*` and `session.sqlalchemy.*` describe.

    With `session.sql.create_table` it creates the table where it is missing. Raises
    `ConfigurationError`, and with `create_table` also `StoreError`.
    """
    sql = sql_settings(settings)
    engine = make_engine(sql)
    table = sessions_table(sql.table, sql.schema)
    if sql.create_table:
        create_table(engine, table)
    return SQLAlchemyStore(engine, table)
