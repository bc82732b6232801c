"""The SQL store's lists and ends by owner, where the database is away or slow."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sessionsite.sessions import StoreError
from sessionsite.testing import START, record
from tests.harness import free_port
from tests.harness.stores import sql_store

CALLS: dict[str, Callable[[Any], Any]] = {
    "sessions_of": lambda store: store.sessions_of("user:42", START),
    "end_owner": lambda store: store.end_owner("user:42", START),
    "with_owner_locked": lambda store: store.with_owner_locked("user:42", lambda: 1),
    "latest": lambda store: store.latest(START, 10),
    "end_older": lambda store: list(store.end_older(START, START, START)),
    "prune_batch": lambda store: store.prune_batch(START, 10),
    "counts": lambda store: store.counts(START),
    "remark": lambda store: store.remark(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_database_that_is_away_is_a_store_error(call: str) -> None:
    store = sql_store(f"postgresql://nobody:hunter2@127.0.0.1:{free_port()}/x", create_table=False)
    with pytest.raises(StoreError) as caught:
        CALLS[call](store)
    assert "hunter2" not in str(caught.value)
    store.close()


@pytest.mark.parametrize("owner", ["\0", "\ud800", "x" * 10**6])
@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def test_an_owner_that_nobody_is_called_has_no_session(
    request: pytest.FixtureRequest, name: str, owner: str
) -> None:
    store = sql_store(request.getfixturevalue(f"{name}_url"))
    store.create(record(owner="user:42"))
    for call in (store.sessions_of, store.end_owner):
        with suppress(StoreError):
            assert list(call(owner, START)) == []
    assert len(store.sessions_of("user:42", START)) == 1
    store.close()


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def test_rows_can_be_pruned_under_an_owners_lock(request: pytest.FixtureRequest, name: str) -> None:
    store = sql_store(request.getfixturevalue(f"{name}_url"))
    store.create(record(expires_at=START))
    assert store.with_owner_locked("user:42", lambda: store.prune(START, 10)) == 1
    assert store.load("id-a", START) is None
    store.close()


@pytest.mark.servers
def test_who_waits_for_an_owners_lock_gives_up_in_time(postgres_url: str) -> None:
    store = sql_store(postgres_url, timeout=1)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go_on.wait(30)

    holder = threading.Thread(target=store.with_owner_locked, args=("user:42", hold))
    holder.start()
    assert inside.wait(10)
    with pytest.raises(StoreError):
        store.with_owner_locked("user:42", lambda: 1)
    assert store.with_owner_locked("user:43", lambda: 7) == 7  # another owner's is free
    go_on.set()
    holder.join()
    assert store.with_owner_locked("user:42", lambda: 7) == 7
    store.close()


@pytest.mark.servers
def test_a_connection_that_breaks_under_an_owners_lock_undoes_all(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record("a", owner="user:42"))

    def work() -> None:
        store.delete("id-a")
        with store._connection("id-x") as connection:
            connection.close()
        store.sessions_of("user:42", START)

    with pytest.raises(StoreError):
        store.with_owner_locked("user:42", work)
    assert store.load("id-a", START) == record("a", owner="user:42")
    assert not store._held
    store.close()


@pytest.mark.servers
def test_owners_with_one_connection_for_all(postgres_url: str) -> None:
    """What is done under the lock needs no second connection, which might never come."""
    store = sql_store(postgres_url, engine={"pool_size": "1"}, timeout=2)

    def work() -> int:
        store.create(record("b", owner="user:42"))
        return len(store.sessions_of("user:42", START))

    assert store.with_owner_locked("user:42", work) == 1
    with store.sweeping() as ours:
        assert ours
        assert store.prune(START, 10) == 0
    store.close()
