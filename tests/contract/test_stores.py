"""The contract suite of session stores, bound to every store."""

from contextlib import suppress
from typing import Any

import pytest

from sessionsite.sessions import Record, SessionStore
from sessionsite.testing import START, MemoryStore, StoreContract, record
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


def test_a_store_need_not_count_nor_close() -> None:
    class Bare(MemoryStore):
        count_expired = SessionStore.count_expired  # type: ignore[assignment]
        close = SessionStore.close

    store = Bare()
    store.create(record(expires_at=START))
    assert store.count_expired(START) is None
    store.close()
    assert store.prune(START, 10) == 1


def test_a_store_in_memory_counts_what_has_expired() -> None:
    store = MemoryStore()
    store.create(record("a", expires_at=START))
    store.create(record("b", expires_at=None))
    assert store.count_expired(START) == 1


def test_the_contract_finds_an_error_that_is_not_raised() -> None:
    class Swallows(MemoryStore):
        def update(self, *args: Any) -> Record | None:
            with suppress(ZeroDivisionError):
                return super().update(*args)
            return None

    with pytest.raises(AssertionError, match="ZeroDivisionError was not raised"):
        StoreContract().test_an_error_inside_update_leaves_the_record_as_it_was(Swallows())
