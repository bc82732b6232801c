"""What a server has lost: an owner's list lacks a session, or an ended session is back."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from pyramid.registry import Registry

from sessionsite.sessions import RESERVED_OWNER, EndReason, SessionEnded, StoreError
from sessionsite.sessions.events import Teller
from sessionsite.sessions.pruner import Pruner
from sessionsite.sessions.valkey import ValkeyStore, nodes
from sessionsite.testing import START, record
from tests.harness.observing import until
from tests.harness.redis import Redis
from tests.harness.redis_cluster import Cluster, Node
from tests.harness.skipping import required
from tests.harness.stores import valkey_store

pytestmark = pytest.mark.servers
OWNER = "user:42"


def ids(store: ValkeyStore) -> list[str]:
    return [each.id for each in store.sessions_of(OWNER, START)]


def lose(redis: Redis, store: ValkeyStore, *names: str) -> None:
    redis.run("ZREM", store.keys.owner(OWNER)[0], *names)


def test_pruning_ends_what_its_owners_list_does_not_name(
    store: ValkeyStore, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        store.create(record(name, owner=OWNER))
    store.create(record("d"))
    store.create(record("e", owner=RESERVED_OWNER))
    store.create(record("f", payload='{"owner":1}'))
    store.create(record("g", owner=OWNER))
    redis.run("SETRANGE", store.keys.session("id-g")[0], "60", "never")  # makes no record
    assert store.prune(START, 10) == 0
    lose(redis, store, "id-b", "id-c")
    assert [each.id for each in store.end_owner(OWNER, START)] == ["id-a"]
    assert store.load("id-b", START) is not None

    with caplog.at_level(logging.WARNING):
        assert {each.id for each in store.prune_batch(START, 10)} == {"id-b", "id-c"}

    assert "id-b" in caplog.text
    assert "user:42" not in caplog.text
    assert store.load("id-b", START) is None
    assert store.load("id-d", START) is not None
    assert store.load("id-f", START) is not None
    assert store.prune(START, 10) == 0


def test_it_ends_no_more_of_them_than_it_is_told(
    store: ValkeyStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "PAGE", 2)
    names = [str(number) for number in range(25)]
    for name in names:
        store.create(record(name, owner=OWNER))
        store.create(record(f"x{name}", owner=OWNER, expires_at=START))
    lose(redis, store, *(f"id-{name}" for name in names))
    assert [store.prune(START, 20) for _ in range(4)] == [20, 20, 10, 0]


def test_what_was_changed_since_it_was_read_is_left(store: ValkeyStore, redis: Redis) -> None:
    store.create(record("a", owner=OWNER))
    lose(redis, store, "id-a")
    unnamed = store._owners.unnamed

    def beside(records: object) -> object:
        found = unnamed(records)  # type: ignore[arg-type]
        store.update("id-a", START, lambda row: replace(row, owner=None))
        store.update("id-a", START, lambda row: replace(row, owner=OWNER))
        return found

    store._owners.unnamed = beside  # type: ignore[method-assign,assignment]
    assert store.prune(START, 10) == 0
    assert ids(store) == ["id-a"]


def test_what_expires_between_two_batches_is_found(store: ValkeyStore) -> None:
    later = START + timedelta(minutes=1)
    for number in range(4):
        store.create(record(f"a{number}", expires_at=START))
        store.create(record(f"b{number}", expires_at=later))
    assert store.prune(START, 3) == 3
    assert store.prune(later, 10) == 5


def test_subscribers_are_told_that_such_a_session_was_revoked(
    store: ValkeyStore, redis: Redis
) -> None:
    store.create(record("a", owner=OWNER))
    store.create(record("b", owner=OWNER, expires_at=None))
    lose(redis, store, "id-a", "id-b")
    told: list[SessionEnded] = []
    registry = Registry()
    registry.registerHandler(told.append, (SessionEnded,))
    assert Pruner(store, 60, lambda: START, Teller(registry=registry)).prune() == 2
    assert [each.reason for each in told] == [EndReason.REVOKED] * 2


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with required():
        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    with cluster:
        yield cluster


def having(cluster: Cluster, key: bytes) -> Node:
    """Return the master that has the slot of `key`."""
    return next(node for node in cluster.masters if b"MOVED" not in node.error("EXISTS", key))


@pytest.mark.all
@pytest.mark.parametrize("lost", ["the entry", "the end"])
def test_a_failover_leaves_no_session_that_its_owner_cannot_end(
    cluster: Cluster, lost: str
) -> None:
    """The replica of one master is cut off, and then that master dies; the other one lives."""
    with closing(valkey_store(cluster.url, prefix="x:", timeout="2")) as store:
        list_key, _ = store.keys.owner(OWNER)
        home = having(cluster, list_key)
        name = next(
            str(n)
            for n in range(99)
            if having(cluster, store.keys.session(f"id-{n}")[0]) is not home
        )
        id_ = f"id-{name}"
        row_home = having(cluster, store.keys.session(id_)[0])
        if lost == "the entry":
            home.cut_off()
            store.create(record(name, owner=OWNER))
            cluster.fail_over(home)
        else:
            store.create(record(name, owner=OWNER))
            assert row_home.run("WAIT", "1", "5000") == 1
            row_home.cut_off()
            assert len(store.end_owner(OWNER, START)) == 1
            cluster.fail_over(row_home)
        assert until(lambda: answers(store), 20)
        assert store.sessions_of(OWNER, START) == []
        assert store.end_owner(OWNER, START) == []
        assert store.load(id_, START) is not None  # what is to be mended

        assert store.prune(START, 10) == 1

        assert store.load(id_, START) is None


def answers(store: ValkeyStore) -> bool:
    try:
        store.counts(START)
        store.sessions_of(OWNER, START)
    except StoreError:
        return False
    return True
