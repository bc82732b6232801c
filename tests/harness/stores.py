"""Stores for tests."""

from collections.abc import Mapping
from typing import Any

from sessionsite.sessions.sql import SQLAlchemyStore, store_from_settings
from sessionsite.sessions.sql_settings import SQLSettings, sql_settings
from sessionsite.sessions.valkey import ValkeyStore
from sessionsite.sessions.valkey import store_from_settings as valkey_store_from_settings


def sql_keys(
    url: str,
    engine: Mapping[str, Any] | None = None,
    max_waiting: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return .ini keys for `url`; `engine` has what goes to SQLAlchemy, `options` the others."""
    waiting = {} if max_waiting is None else {"session.max_waiting": max_waiting}
    return waiting | {
        **{f"session.sqlalchemy.{k}": v for k, v in {"url": url, **(engine or {})}.items()},
        **{f"session.sql.{k}": v for k, v in {"create_table": True, **options}.items()},
    }


def sql_store(url: str, **options: Any) -> SQLAlchemyStore:
    """A store on an empty database, its table created unless told otherwise."""
    return store_from_settings(sql_keys(url, **options))


def settings_of(url: str, **engine: Any) -> SQLSettings:
    """Return the settings of a store on `url`; `engine` has what goes to SQLAlchemy."""
    return sql_settings(sql_keys(url, engine))


def valkey_store(url: str, **options: Any) -> ValkeyStore:
    """A store on Valkey or Redis; `options` are its other keys."""
    keys = {f"session.valkey.{k}": v for k, v in {"url": url, **options}.items()}
    return valkey_store_from_settings(keys)
