"""What the store on Valkey or Redis does beyond the contract: locks that lapse, crashes, forks."""

import os
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest

from sessionsite.sessions import (
    RESERVED_OWNER,
    MalformedRecordError,
    Record,
    RecordExistsError,
    StoreBusyError,
    StoreError,
)
from sessionsite.sessions.valkey import ValkeyStore, nodes
from sessionsite.sessions.valkey import owners as owners_module
from sessionsite.sessions.valkey.locking import Waiter
from sessionsite.testing import START, record
from tests.harness.forking import in_child
from tests.harness.redis import Redis
from tests.harness.stores import valkey_store

pytestmark = pytest.mark.servers
OWNER = "user:42"


def owned(name: str = "a", **changes: Any) -> Record:
    return record(name, **{"owner": OWNER, **changes})


def lapse(redis: Redis, keys: Any) -> None:
    redis.run("DEL", keys[1])


def ids(store: ValkeyStore) -> list[str]:
    return [each.id for each in store.sessions_of(OWNER, START)]


class TestLocks:
    def test_a_lock_that_is_held_is_waited_for_in_time(
        self, store: ValkeyStore, redis: Redis
    ) -> None:
        store.create(record())
        inside, go_on = Event(), Event()

        def slowly(newest: Record) -> Record:
            inside.set()
            go_on.wait(10)
            return newest

        other = Thread(target=store.update, args=("id-a", START, slowly))
        other.start()
        inside.wait(10)
        redis.run("PEXPIRE", store.keys.session("id-a")[1], "9000")  # of a store that waits longer
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match="another request has the lock"):
            store.save(record(), 1, START)
        assert 0.5 < time.monotonic() - began < 5
        assert store.delete("id-a")  # an end waits for nobody
        go_on.set()
        other.join()

    def test_a_lock_of_a_process_that_died_lapses(self, store: ValkeyStore, redis: Redis) -> None:
        store.create(record())
        store._sessions.lock("id-a", START, "of the dead")
        _, lock = store.keys.session("id-a")
        assert 0 < redis.run("PTTL", lock) <= 1000  # as long as a request waits
        redis.run("PEXPIRE", lock, "500")  # it died half a second ago
        store.update("id-a", START, replace)  # not StoreBusyError, after a second

    def test_a_change_whose_lock_has_lapsed_is_stored_if_nobody_was_there(
        self, store: ValkeyStore, redis: Redis
    ) -> None:
        store.create(record())

        def change(newest: Record) -> Record:
            lapse(redis, store.keys.session("id-a"))
            return replace(newest, payload="{}")

        assert store.update("id-a", START, change) == record(payload="{}", version=2)

    def test_it_is_made_again_if_another_request_was_first(
        self, store: ValkeyStore, redis: Redis
    ) -> None:
        store.create(record(payload="0"))
        seen: list[str] = []

        def change(newest: Record) -> Record:
            seen.append(newest.payload)
            if len(seen) == 1:
                lapse(redis, store.keys.session("id-a"))
                assert store.save(record(payload="10"), 1, START)
            return replace(newest, payload=newest.payload + "!")

        stored = store.update("id-a", START, change)
        assert (seen, stored and stored.payload) == (["0", "10"], "10!")

    def test_but_not_for_ever(self, store: ValkeyStore, redis: Redis) -> None:
        store.create(record())

        def change(newest: Record) -> Record:
            lapse(redis, store.keys.session("id-a"))
            assert store.save(newest, newest.version, START)
            return replace(newest)

        with pytest.raises(StoreBusyError, match="another request was first"):
            store.update("id-a", START, change)

    def test_no_waiter_gives_way_or_says_that_the_server_is_away(self) -> None:
        waiter = Waiter("id-a")
        assert not waiter.gives_way()
        waiter.starves()


class TestOwners:
    def test_an_id_whose_row_never_came_is_dropped_once_it_has_lapsed(
        self, store: ValkeyStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, _ = store.keys.owner(OWNER)
        store._owners.reserve(OWNER, "id-dead")
        assert ids(store) == []
        assert redis.run("ZCARD", key) == 1  # it may be about to come
        monkeypatch.setattr(owners_module, "LAPSED", 0)
        assert ids(store) == []
        assert redis.run("ZCARD", key) == 0

    def test_a_row_that_comes_too_late_is_refused(
        self, store: ValkeyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.create(record("b"))
        monkeypatch.setattr(owners_module, "RESERVED", -1)
        with pytest.raises(StoreError, match="was not stored in time"):
            store.create(owned())
        with pytest.raises(StoreError, match="was not stored in time"):
            store.update("id-b", START, lambda row: replace(row, owner=OWNER))
        assert store.load("id-a", START) is None
        assert store.load("id-b", START) == record("b")

    def test_an_id_of_another_owners_session_is_dropped(
        self, store: ValkeyStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.create(owned())
        store.update("id-a", START, lambda row: replace(row, owner="user:43"))
        assert ids(store) == []
        assert [each.id for each in store.sessions_of("user:43", START)] == ["id-a"]
        monkeypatch.setattr(owners_module, "LAPSED", 0)
        assert ids(store) == []
        assert redis.run("EXISTS", store.keys.owner(OWNER)[0]) == 0

    def test_a_list_that_nobody_asks_for_does_not_grow(
        self, store: ValkeyStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(owners_module, "LAPSED", 0)
        for number in range(100):
            store.create(owned(str(number)))
            redis.run("DEL", store.keys.session(f"id-{number}")[0])  # the server's expiry
        assert redis.run("ZCARD", store.keys.owner(OWNER)[0]) < 40

    def test_marks_of_ours_are_in_no_list(self, store: ValkeyStore, redis: Redis) -> None:
        store.create(owned(owner=RESERVED_OWNER))
        assert store.sessions_of(RESERVED_OWNER, START) == []
        assert redis.run("EXISTS", store.keys.owner(RESERVED_OWNER)[0]) == 0
        assert store.delete("id-a")

    def test_end_owner_passes_over_what_has_become_anothers(
        self, store: ValkeyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.create(owned())
        found = store._owners.live(OWNER)
        store.update("id-a", START, lambda row: replace(row, owner=None))
        monkeypatch.setattr(store._owners, "live", lambda owner: found)
        assert store.end_owner(OWNER, START) == []
        assert store.load("id-a", START) is not None


class TestTransaction:
    def test_it_sees_what_it_has_done(self, store: ValkeyStore) -> None:
        store.create(owned("a"))
        store.create(record("c"))
        store.create(record("d"))

        def work() -> str:
            assert store.delete("id-d") is True
            with pytest.raises(RecordExistsError):
                store.create(owned("a"))
            store.create(owned("b"))
            with pytest.raises(RecordExistsError):
                store.create(owned("b"))
            assert store.load("id-a", START) == owned("a")
            assert store.load("id-b", START) == owned("b")
            assert store.save(owned("b"), 7, START) is False
            assert store.save(owned("x"), 1, START) is False
            assert store.update("id-x", START, replace) is None
            assert store.save(owned("b", payload="{}"), 1, START) is True
            assert sorted(ids(store)) == ["id-a", "id-b"]
            assert store.delete("id-b") is True
            assert store.delete("id-b") is False
            assert store.load("id-b", START) is None
            assert store.delete("id-x") is False
            assert store.delete("id-c") is True
            store.create(owned("c"))
            assert [each.id for each in store.end_owner(OWNER, START, "id-c")] == ["id-a"]
            return store.with_owner_locked(OWNER, lambda: "inside")

        assert store.with_owner_locked(OWNER, work) == "inside"
        assert ids(store) == ["id-c"]
        assert store.load("id-b", START) is None
        assert store.load("id-d", START) is None

    def test_what_was_only_read_is_not_written(self, store: ValkeyStore) -> None:
        store.create(owned())
        store.with_owner_locked(OWNER, lambda: store.update("id-a", START, lambda row: row))
        assert store.load("id-a", START) == owned()
        assert store.save(owned(), 1, START)

    def test_a_row_that_expires_meanwhile_is_gone(self, store: ValkeyStore) -> None:
        store.create(owned())
        later = START + timedelta(days=1)

        def work() -> None:
            store.update("id-a", START, replace)
            assert store.update("id-a", later, replace) is None

        store.with_owner_locked(OWNER, work)

    @pytest.mark.parametrize("what", ["owner", "row"])
    def test_it_is_done_again_if_a_lock_has_lapsed(
        self, store: ValkeyStore, redis: Redis, what: str
    ) -> None:
        store.create(record("b"))
        tries: list[int] = []

        def work() -> None:
            tries.append(1)
            store.update("id-b", START, lambda row: replace(row, payload="{}"))
            store.create(owned("a"))
            if len(tries) > 1:
                return
            if what == "owner":
                lapse(redis, store.keys.owner(OWNER))
            else:
                lapse(redis, store.keys.session("id-b"))
                Thread(target=store.save, args=(record("b"), 1, START)).start()
                while redis.run("GETRANGE", store.keys.session("id-b")[0], "0", "0") != b"2":
                    time.sleep(0.01)

        store.with_owner_locked(OWNER, work)
        assert len(tries) == 2
        assert ids(store) == ["id-a"]

    def test_but_not_for_ever(self, store: ValkeyStore, redis: Redis) -> None:
        def work() -> None:
            store.create(owned("a"))
            lapse(redis, store.keys.owner(OWNER))

        with pytest.raises(StoreBusyError, match="a lock had lapsed"):
            store.with_owner_locked(OWNER, work)
        assert store.load("id-a", START) is None

    def test_what_is_stored_in_part_is_an_error(self, store: ValkeyStore, redis: Redis) -> None:
        store.create(record("b"))

        def work() -> None:
            store.create(owned("a"))
            store.update("id-b", START, lambda row: replace(row, payload="{}"))
            redis.run("DEL", store.keys.session("id-b")[0])

        with pytest.raises(StoreError, match="part of a change is stored"):
            store.with_owner_locked(OWNER, work)

    def test_an_id_that_was_taken_meanwhile_is_found(
        self, store: ValkeyStore, redis: Redis
    ) -> None:
        def work() -> None:
            store.create(owned("a"))
            redis.run("SET", store.keys.session("id-a")[0], "another's")

        with pytest.raises(RecordExistsError):
            store.with_owner_locked(OWNER, work)

    def test_a_row_that_has_changed_is_not_deleted(self, store: ValkeyStore, redis: Redis) -> None:
        store.create(owned("a"))

        def work() -> None:
            store.update("id-a", START, lambda row: None)
            lapse(redis, store.keys.session("id-a"))
            saving = Thread(target=store.save, args=(owned("a"), 1, START))
            saving.start()
            saving.join()

        store.with_owner_locked(OWNER, work)
        assert ids(store) == ["id-a"]


def test_the_row_of_another_session_is_no_record(store: ValkeyStore, redis: Redis) -> None:
    store.create(record("a"))
    key = store.keys.session
    redis.run("COPY", key("id-a")[0], key("id-b")[0])
    with pytest.raises(MalformedRecordError, match="it is another session's"):
        store.load("id-b", START)


def test_the_server_itself_drops_a_row_a_day_after_its_end(
    store: ValkeyStore, redis: Redis
) -> None:
    def life() -> timedelta:
        return timedelta(milliseconds=redis.run("PTTL", store.keys.session("id-a")[0]))

    day, second = timedelta(days=1), timedelta(seconds=1)
    store.create(record())  # created an hour ago, and ends in an hour
    assert abs(life() - day - timedelta(hours=2)) < second
    store.save(record(expires_at=START + second), 1, START)
    assert abs(life() - day) < 2 * second
    store.update("id-a", START, lambda row: replace(row, expires_at=None))
    assert redis.run("PTTL", store.keys.session("id-a")[0]) == -1


def test_all_pages_of_keys_are_looked_at(
    store: ValkeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "PAGE", 2)
    for number in range(50):
        store.create(record(str(number), expires_at=START))
    assert store.counts(START).expired == 50
    pruned = [store.prune(START, 20) for _ in range(4)]
    assert pruned == [20, 20, 10, 0]


def test_a_server_that_drops_sessions_when_it_is_full_is_told_of(
    store: ValkeyStore, redis: Redis
) -> None:
    assert store.remark() is None
    redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert "allkeys-lru" in (store.remark() or "")
    finally:
        redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert store.remark() is None


def test_the_last_pruning_is_told_to_all_processes(store: ValkeyStore) -> None:
    assert store.last_sweep() is None


def test_a_child_uses_connections_of_its_own(store: ValkeyStore) -> None:
    store.create(record())
    opened = store.client._opened
    assert in_child(lambda: store.load("id-a", START) == record() and os.getpid()) != os.getpid()
    assert store.client._opened is opened
    assert store.load("id-a", START) == record()
    store.close()
    assert in_child(lambda: store.load("id-a", START) == record()) is True


def test_all_connections_in_use_is_no_outage(redis: Redis) -> None:
    with closing(valkey_store(redis.url, prefix=f"{uuid4()}:", max_connections="1")) as store:
        store.create(record())
        pool = store.client._opened.connection_pool
        taken = pool.get_connection()
        with pytest.raises(StoreBusyError, match="all connections of this process are in use"):
            store.load("id-a", START)
        pool.release(taken)
        assert store.load("id-a", START) == record()


def test_a_user_who_may_not_ask_is_on_one_server(redis: Redis) -> None:
    url = redis.create_user("shy")
    redis.run("ACL", "SETUSER", "shy", "-info")
    with closing(valkey_store(url, prefix=f"{uuid4()}:")) as store:
        store.create(record())
        assert store.load("id-a", START) == record()
        assert store.remark() is None
