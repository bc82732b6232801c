"""The contract suite of session stores, bound to every store."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import MovedError

from sessionsite.sessions import SessionStore
from sessionsite.testing import START, MemoryStore, OwnerContract, record
from tests.contract.kit import NOT_HERE, SQLContract
from tests.harness.redis import Redis
from tests.harness.redis_cluster import Cluster
from tests.harness.stores import sql_store, valkey_store


class TestMemoryStore(OwnerContract):
    """It never fails, and no other process sees its rows: `SoundStore` is tested for that."""

    test_every_failure_is_a_store_error = NOT_HERE
    test_a_row_that_makes_no_record_says_so = NOT_HERE
    test_two_stores_see_each_others_rows = NOT_HERE
    test_updates_of_two_stores_wait_for_each_other = NOT_HERE
    test_of_two_stores_one_is_sweeping = NOT_HERE
    test_close_of_one_store_leaves_the_other = NOT_HERE
    test_a_row_that_makes_no_record_is_not_in_the_pruners_way = NOT_HERE
    test_a_row_that_makes_no_record_is_in_no_lists_way = NOT_HERE
    test_of_calls_of_two_stores_for_one_row_one_succeeds = NOT_HERE
    test_of_two_stores_one_has_an_owners_lock = NOT_HERE

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestSQLiteStore(SQLContract):
    # SQLite's writers wait for each other anyway.
    test_of_two_stores_one_is_sweeping = NOT_HERE

    @pytest.fixture
    def store(self, sqlite_url: str) -> Any:
        self.url = sqlite_url
        store = sql_store(sqlite_url)
        yield store
        store.engine.dispose()


class TestPostgreSQLStore(SQLContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Any:
        self.url = postgres_url
        store = sql_store(postgres_url)
        yield store
        store.engine.dispose()


class TestValkeyStore(OwnerContract):
    server: Redis | Cluster
    url: str

    @pytest.fixture
    def place(self, redis: Redis) -> Redis | Cluster:
        return redis

    @pytest.fixture
    def store(self, place: Redis | Cluster) -> Any:
        self.server = place
        self.url = place.create_user("visitor")
        store = valkey_store(self.url, prefix=f"{uuid4()}:")
        yield store
        store.close()

    def second_store(self, store: Any) -> Any:
        return valkey_store(self.url, prefix=store.settings.prefix)

    def break_store(self, store: Any) -> None:
        for node in self.server.nodes:
            node.run("ACL", "DELUSER", "visitor")

    def spoil_row(self, store: Any, id: str) -> None:
        row, _ = store.keys.session(id)
        for node in self.server.nodes:
            with suppress(MovedError):  # the row is another node's
                node.run("SETRANGE", row, "40", "never")


@pytest.mark.all
class TestValkeyStoreOnACluster(TestValkeyStore):
    @pytest.fixture
    def place(self, redis_cluster: Cluster) -> Redis | Cluster:
        return redis_cluster


def test_a_store_need_not_count_nor_close() -> None:
    class Bare(MemoryStore):
        count_expired = SessionStore.count_expired  # type: ignore[assignment]
        close = SessionStore.close

    store = Bare()
    store.create(record(expires_at=START))
    assert store.count_expired(START) is None
    store.close()
    assert store.prune(START, 10) == 1


def test_each_store_says_what_it_promises(sqlite_url: str) -> None:
    """Without a server: what a store is told is what it says."""
    url = "redis://localhost"
    sqlite, postgresql = sql_store(sqlite_url), sql_store("postgresql://", create_table=False)
    valkey, waiting = valkey_store(url), valkey_store(url, wait_replicas="2")
    stores = (MemoryStore(), sqlite, postgresql, valkey, waiting)
    told = [(store.where, store.durability, store.replication) for store in stores]
    assert all(all(each) for each in told)
    assert len(set(told)) == len(stores)
    assert "to 2 other servers before" in waiting.replication
    sqlite.close()
