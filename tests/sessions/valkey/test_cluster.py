"""The client on a cluster: what it finds out, redirections, replicas to wait for."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from redis.crc import key_slot

from sessionsite.sessions import StoreError
from sessionsite.sessions.valkey import ValkeyStore, nodes
from sessionsite.testing import START, record
from tests.harness.redis_cluster import Cluster, Node
from tests.harness.skipping import required
from tests.harness.stores import valkey_store

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two masters, and a replica of each."""
    with required():
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), masters=2, replicas=2)
    with cluster:
        yield cluster


# Two ways to follow a redirection: redis-py's, and ours where replicas are waited for.
@pytest.fixture(params=["0", "1"], ids=["answers-at-once", "waits-for-a-replica"])
def store(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[ValkeyStore]:
    prefix = f"{uuid4()}:"
    with closing(valkey_store(cluster.url, prefix=prefix, wait_replicas=request.param)) as store:
        yield store


def place(cluster: Cluster, store: ValkeyStore, id: str) -> tuple[int, Node, Node]:
    """The slot of a session, the master that has it, and the other one."""
    slot = key_slot(store.keys.session(id)[0])
    source, target = cluster.masters
    if b"MOVED" in source.error("GETRANGE", store.keys.session(id)[0], "0", "0"):
        source, target = target, source
    return slot, source, target


def test_what_was_moved_is_found(cluster: Cluster, store: ValkeyStore) -> None:
    store.create(record(owner="user:42"))
    for _ in range(2):
        slot, source, target = place(cluster, store, "id-a")
        cluster.move(slot, source, target, cluster.masters)
        loaded = store.load("id-a", START)
        assert loaded is not None
        assert store.save(loaded, loaded.version, START)
    slot, source, target = place(cluster, store, "id-a")
    cluster.move(slot, source, target, cluster.masters)
    assert [each.id for each in store.sessions_of("user:42", START)] == ["id-a"]
    assert store.counts(START).live == 1
    slot, source, target = place(cluster, store, "id-a")
    cluster.move(slot, source, target, cluster.masters)
    assert store.delete("id-a")


def test_what_its_owners_list_does_not_name_ends(cluster: Cluster, store: ValkeyStore) -> None:
    for name in "abcd":  # on either master
        store.create(record(name, owner="user:42"))
    key, _ = store.keys.owner("user:42")
    for master in cluster.masters:
        master.error("ZREM", key, "id-a", "id-b", "id-c")
    assert store.prune(START, 10) == 3
    assert [each.id for each in store.sessions_of("user:42", START)] == ["id-d"]
    assert store.counts(START).live == 1


def test_a_new_session_goes_to_where_its_slot_is_moved(
    cluster: Cluster, store: ValkeyStore
) -> None:
    slot, source, target = place(cluster, store, "id-a")
    cluster.begin_move(slot, source, target)  # from now on the source says ASK of a missing key
    store.create(record())
    assert store.load("id-a", START) == record()
    assert store.delete("id-a")
    cluster.move(slot, source, target, cluster.masters)


def test_a_row_on_its_way_to_a_node_that_was_added_since_is_found(
    cluster: Cluster, store: ValkeyStore, tmp_path: Path
) -> None:
    store.create(record(owner="user:42"))
    slot, source, target = place(cluster, store, "id-a")
    with Node(tmp_path).start() as added:
        cluster.join(added)
        cluster.begin_move(slot, source, added)
        where = ("127.0.0.1", str(added.port), "", "0", "5000")
        source.run("MIGRATE", *where, "KEYS", store.keys.session("id-a")[0])
        assert store.load("id-a", START) is not None
        assert len(store.sessions_of("user:42", START)) == 1
        added.run("FLUSHALL")
        for node in (added, source, target):
            node.run("CLUSTER", "SETSLOT", str(slot), "NODE", source.id)
        for node in cluster.nodes:
            node.run("CLUSTER", "FORGET", added.id)


def test_a_row_that_stays_on_its_way_is_an_error_in_time(
    cluster: Cluster, store: ValkeyStore
) -> None:
    store.create(record())
    slot, source, target = place(cluster, store, "id-a")
    cluster.begin_move(slot, source, target)  # the row is here, and its lock would be there
    with pytest.raises(StoreError):
        store.save(record(), 1, START)
    assert store.load("id-a", START) == record()
    cluster.move(slot, source, target, cluster.masters)
    assert store.save(record(), 1, START)


def test_a_write_that_too_few_replicas_have_is_an_error(cluster: Cluster) -> None:
    keys = {"prefix": f"{uuid4()}:", "timeout": "1", "wait_replicas": "2"}
    for master in cluster.masters:
        master.run("SCRIPT", "FLUSH")  # as one that was started anew
    match = "1 replicas have the write in time, and 2 must"
    with (
        closing(valkey_store(cluster.url, **keys)) as store,
        pytest.raises(StoreError, match=match),
    ):
        store.create(record())


@pytest.mark.parametrize("mode", ["auto", "true"])
def test_one_node_is_enough_to_find_the_others(cluster: Cluster, mode: str) -> None:
    url = cluster.masters[0].url.replace("redis", "valkey")
    with closing(valkey_store(url, prefix=f"{uuid4()}:", cluster=mode)) as store:
        assert store.connections() is None
        for number in range(20):  # some on either
            store.create(record(str(number)))
        assert store.counts(START).live == 20
        connections = store.connections()
        assert connections is not None
        assert (connections.limit, connections.in_use) == (200, 0)
        assert connections.open >= 2


def test_slots_that_nobody_has_are_an_error(cluster: Cluster) -> None:
    with closing(valkey_store(cluster.url, prefix=f"{uuid4()}:")) as store:
        store.create(record())
        manager = store.client._opened.nodes_manager
        manager.slots_cache = {}
        with pytest.raises(StoreError, match="not covered"):
            store.load("id-a", START)
        nodes.look_again(store.client._opened)
        assert store.load("id-a", START) == record()
