"""The contract suite of session stores, bound to every store."""

from typing import Any

import pytest

from sessionsite.sessions.settings import SQLSettings
from sessionsite.sessions.sql import SQLAlchemyStore, store_from_settings
from sessionsite.testing import MemoryStore, StoreContract


def sql_store(url: str, **options: Any) -> SQLAlchemyStore:
    values: dict[str, Any] = {"table": "sessions", "schema": None, "timeout": 5} | options
    return store_from_settings(SQLSettings(create_table=True, engine={"url": url}, **values))


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, sqlite_url: str) -> Any:
        store = sql_store(sqlite_url)
        yield store
        store.engine.dispose()


class TestPostgreSQLStore(StoreContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Any:
        store = sql_store(postgres_url)
        yield store
        store.engine.dispose()
