"""The contract suite of session stores, bound to every store."""

from typing import Any

import pytest

from sessionsite.testing import MemoryStore, StoreContract
from tests.harness.stores import sql_store


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
