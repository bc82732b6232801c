"""What others do to the server: keys that are not ours, a master that is one no more."""

from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from sessionsite.sessions import MalformedRecordError, StoreError
from sessionsite.sessions.valkey import ValkeyStore
from sessionsite.testing import START, record
from tests.harness.redis import Redis, start_redis
from tests.harness.skipping import required
from tests.harness.stores import valkey_store

pytestmark = pytest.mark.servers
OWNER = "user:42"


def test_a_row_of_another_type_makes_no_record(store: ValkeyStore, redis: Redis) -> None:
    row, _ = store.keys.session("id-a")
    redis.run("LPUSH", row, "a list")
    store.create(record("b", owner=OWNER, expires_at=START))
    with pytest.raises(MalformedRecordError, match="id-a: WRONGTYPE"):
        store.load("id-a", START)
    with pytest.raises(MalformedRecordError):
        store.update("id-a", START, lambda row: row)
    assert store.counts(START).expired == 1
    assert store.prune(START, 10) == 1
    assert store.delete("id-a") is True
    assert store.delete("id-a") is False


def test_an_owners_list_of_another_type_is_a_failure_of_the_store(
    store: ValkeyStore, redis: Redis
) -> None:
    redis.run("SET", store.keys.owner(OWNER)[0], "text")
    for call in (
        lambda: store.create(record(owner=OWNER)),
        lambda: store.sessions_of(OWNER, START),
    ):
        with pytest.raises(StoreError, match="WRONGTYPE"):
            call()


def test_ids_and_payloads_of_any_characters_are_found_through_their_owner(
    store: ValkeyStore,
) -> None:
    names = ["é" * 4, "\ud800", "a}b{", "*?[x]", "line\nline", " "]
    for number, name in enumerate(names):  # one of them is cut within a character
        payload = "x" * number + "é\ud800" * 3000
        store.create(record(str(number), id=name, owner="user:\udfff", payload=payload))
        loaded = store.load(name, START)
        assert loaded is not None
        assert loaded.payload == payload
    assert store.prune(START, 10) == 0
    assert len(store.sessions_of("user:\udfff", START)) == len(names)
    assert store.delete("\ud800")
    assert len(store.end_owner("user:\udfff", START)) == len(names) - 1


def test_the_health_check_fails_where_pages_would(redis: Redis) -> None:
    url = redis.create_user("scriptless")
    redis.run("ACL", "SETUSER", "scriptless", "-eval", "-evalsha")
    lonely = {"wait_replicas": "1", "timeout": "1"}
    for address, keys, match in (
        (url, {}, "no permissions"),
        (redis.url, lonely, "0 replicas have the write in time"),
    ):
        with (
            closing(valkey_store(address, prefix=f"{uuid4()}:", **keys)) as store,
            pytest.raises(StoreError, match=match),
        ):
            store.try_write(START)


def test_a_user_who_may_not_wait_gets_an_error_of_the_store(redis: Redis) -> None:
    url = redis.create_user("hasty")
    redis.run("ACL", "SETUSER", "hasty", "-wait")
    with (
        closing(valkey_store(url, prefix=f"{uuid4()}:", wait_replicas="1")) as store,
        pytest.raises(StoreError, match="no permissions"),
    ):
        store.create(record())


def test_a_server_that_ends_is_found_again(tmp_path: Path) -> None:
    with required():
        server = start_redis(tmp_path)
    with server, closing(valkey_store(server.url, timeout="1")) as store:
        store.create(record())
        server.stop()
        for _ in range(2):
            with pytest.raises(StoreError):
                store.load("id-a", START)
        server.start()
        assert store.load("id-a", START) is None


def test_a_master_that_is_a_replica_now_is_left_for_whoever_has_its_address(
    tmp_path: Path,
) -> None:
    with required():
        server = start_redis(tmp_path)
    with server, closing(valkey_store(server.url, timeout="1")) as store:
        store.create(record())
        before = store.client._opened
        server.run("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreError, match="read only replica"):
            store.save(record(), 1, START)
        server.run("REPLICAOF", "NO", "ONE")
        assert store.save(record(), 1, START)
        assert store.client._opened is not before
