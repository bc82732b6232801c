"""Stores for tests."""

from collections.abc import Mapping
from typing import Any

from sessionsite.sessions.settings import SQLSettings
from sessionsite.sessions.sql import SQLAlchemyStore, store_from_settings


def sql_settings(url: str, engine: Mapping[str, Any] | None = None, **options: Any) -> SQLSettings:
    """Settings for `url`; `engine` has what goes to SQLAlchemy, `options` the others."""
    values = {"table": "sessions", "schema": None, "create_table": True, "timeout": 5} | options
    return SQLSettings(engine={"url": url, **(engine or {})}, **values)


def sql_store(url: str, **options: Any) -> SQLAlchemyStore:
    """A store on an empty database, its table created unless told otherwise."""
    return store_from_settings(sql_settings(url, **options))
