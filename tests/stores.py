"""Stores for tests."""

from typing import Any

from sessionsite.sessions.settings import SQLSettings
from sessionsite.sessions.sql import SQLAlchemyStore, store_from_settings


def sql_store(url: str, **options: Any) -> SQLAlchemyStore:
    """A store on an empty database, its table created unless told otherwise."""
    values = {"table": "sessions", "schema": None, "create_table": True, "timeout": 5} | options
    return store_from_settings(SQLSettings(engine={"url": url}, **values))
