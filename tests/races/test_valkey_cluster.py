"""The races on Redis Cluster, and beside what an operator, or a crash, does to the cluster."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sessionsite.sessions import OwnerStore, SessionCounts
from tests.harness.observing import until
from tests.harness.redis_cluster import NODE_TIMEOUT, Cluster, Node
from tests.races.clients import Crowd, Site
from tests.races.every import wrongs
from tests.races.gates import GateKeeper
from tests.races.processes import processes_on_valkey

pytestmark = [pytest.mark.servers, pytest.mark.all]

VISITORS = 12
# The replica waits for the time-out, and then up to a second for the votes.
FAILOVER = 6.0  # seconds


@pytest.fixture(scope="module")
def on_a_cluster(directory: Path, keeper: GateKeeper, redis_cluster: Cluster) -> Iterator[Site]:
    with processes_on_valkey(
        directory, keeper, redis_cluster.url, timeout="2", wait_replicas="1"
    ) as site:
        yield replace(site, store=Still(site.store, redis_cluster))


class Still:
    """A store that counts its rows while no slot is moved, since it may count those twice."""

    def __init__(self, store: OwnerStore, cluster: Cluster) -> None:
        self._store = store
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def counts(self, now: datetime) -> SessionCounts:
        with self._cluster.still:
            return self._store.counts(now)


class Visitor(Thread):
    """One who adds a key per request, and notes which requests were answered 200."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(daemon=True)
        self._crowd = crowd
        self.cookie = crowd.get("/set", first="x").cookie
        self.answered = {"first": "x"}
        self.failed: list[float] = []
        self.statuses: set[int] = set()
        self.stopped = False

    def run(self) -> None:
        number = 0
        while not self.stopped:
            number += 1
            key = f"n{number}"
            answer = self._crowd.get(f"/set?{key}=x", self.cookie)
            self.statuses.add(answer.status)
            if answer.status == 200:
                self.answered[key] = "x"
            else:
                self.failed.append(time.monotonic())
            time.sleep(0.005)

    def lost(self) -> set[str]:
        """What was answered, and is not there."""
        stored: dict[str, str] = self._crowd.get("/read", self.cookie).json["data"]
        return self.answered.keys() - stored.keys()


def failing_seconds(visitors: list[Visitor]) -> float:
    times = sorted(moment for each in visitors for moment in each.failed)
    return times[-1] - times[0] if times else 0.0


def visiting(crowd: Crowd) -> list[Visitor]:
    visitors = [Visitor(crowd) for _ in range(VISITORS)]
    for each in visitors:
        each.start()
    return visitors


def end(visitors: list[Visitor]) -> None:
    for each in visitors:
        each.stopped = True
    for each in visitors:
        each.join(30)
    assert set().union(*(each.statuses for each in visitors)) <= {200, 503}
    assert [each.lost() for each in visitors] == [set()] * VISITORS


def promoted(cluster: Cluster, killed: Node) -> bool:
    up = [node for node in cluster.nodes if node is not killed]
    return [node.info()["role"] for node in up].count("master") == 3


def test_no_race_is_lost_while_slots_are_moved(on_a_cluster: Site, redis_cluster: Cluster) -> None:
    with redis_cluster.resharding() as moved:
        assert wrongs(on_a_cluster, share=0.2) == {}
    assert moved[0] > 20


def test_nobody_notices_that_slots_are_moved(on_a_cluster: Site, redis_cluster: Cluster) -> None:
    redis_cluster.flush()  # so that it is the visitors' slots that are moved
    with on_a_cluster.crowd(VISITORS) as crowd:
        visitors = visiting(crowd)
        with redis_cluster.resharding() as moved:
            time.sleep(5)
        end(visitors)
    assert moved[0] > VISITORS
    assert [each.failed for each in visitors] == [[]] * VISITORS


def test_a_master_is_killed_under_load(on_a_cluster: Site, redis_cluster: Cluster) -> None:
    with on_a_cluster.crowd(VISITORS) as crowd:
        visitors = visiting(crowd)
        time.sleep(1)
        killed = next(node for node in redis_cluster.nodes if node.info()["role"] == "master")
        killed.kill()
        assert until(lambda: promoted(redis_cluster, killed))
        time.sleep(1)
        killed.start()  # WAIT needs a replica of each master
        assert until(redis_cluster.is_whole, 30)
        time.sleep(1)
        end(visitors)
    assert 0 < failing_seconds(visitors) < FAILOVER + NODE_TIMEOUT / 1000
    assert wrongs(on_a_cluster, share=0.2) == {}
