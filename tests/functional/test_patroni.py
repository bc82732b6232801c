"""Patroni's three nodes, with deploy/patroni.yml: no failover loses a visit.

    FAILOVERS=5 .venv/bin/pytest -m all tests/functional/test_patroni.py -rP

prints the figures of docs/deployment.md.
"""
# ruff: noqa: T201

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.harness.observing import until
from tests.harness.patroni import Node, Patroni, start_patroni
from tests.harness.production import create_table, production_ini, start_worker
from tests.harness.pserve import Pserve
from tests.harness.recording import ALL_VISITS, RecordingVisitor, browsing
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.all]

VISITORS = 6
PAUSE = 0.05  # seconds between two visits of one: their histories would grow too long
FAILOVERS = int(os.environ.get("FAILOVERS", "1"))
TTL = 20  # seconds: Patroni's `ttl`
LONGEST = 2 * TTL


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patroni]:
    with required():
        cluster = start_patroni(tmp_path_factory.mktemp("patroni"))
    with cluster:
        yield cluster


@pytest.fixture(scope="module")
def workers(cluster: Patroni, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pserve]]:
    """Two processes of the site, which know of all three nodes."""
    directory = tmp_path_factory.mktemp("site")
    url = cluster.create_database("site")
    create_table(url)
    config = production_ini(directory, *ALL_VISITS)
    with ExitStack() as servers:
        yield [
            servers.enter_context(start_worker(directory, config, DATABASE_URL=url))
            for _ in range(2)
        ]


def longest_pause(workers: list[Pserve], fault: Callable[[], object]) -> float:
    """For how many seconds no visitor got a page while `fault` happened, under load.

    Each visitor goes from process to process. Afterwards all that was answered 200 is there.
    """
    visitors = [RecordingVisitor(*(worker.url for worker in workers)) for _ in range(VISITORS)]
    with browsing(visitors, PAUSE, refused=True):
        assert until(lambda: all(len(each.answered) > 10 for each in visitors))
        fault()
        after = time.monotonic()
        assert until(lambda: all(each.last > after + 1 for each in visitors), LONGEST)
    for worker in workers:
        assert worker.running
        assert "Traceback" not in worker.output()
    times = sorted(moment for each in visitors for moment in each.times)
    return max(later - earlier for earlier, later in pairwise(times))


def another_takes_over(cluster: Patroni, old: Node) -> Callable[[], bool]:
    others = [node for node in cluster.nodes if node is not old]
    return lambda: any(node.answers("primary") for node in others)


def kill_host(cluster: Patroni) -> None:
    old = cluster.primary
    old.kill()
    assert until(another_takes_over(cluster, old), LONGEST)


def kill_postgres(cluster: Patroni) -> None:
    old = cluster.primary
    old.kill_postgres()
    assert until(another_takes_over(cluster, old), LONGEST)


def freeze_host(cluster: Patroni) -> None:
    """It wakes once another has taken over, and takes itself for the primary for a moment.

    In the very second of that: it must not get the lock back.
    """
    old = cluster.primary
    old.freeze()
    try:
        assert until(another_takes_over(cluster, old), LONGEST)
    finally:
        old.thaw()


def switch_over(cluster: Patroni) -> None:
    old = cluster.primary
    old.switch_over()
    assert until(another_takes_over(cluster, old), LONGEST)


@pytest.mark.parametrize(
    ("fail", "most"),
    [(kill_host, LONGEST), (freeze_host, LONGEST), (kill_postgres, 20), (switch_over, 20)],
)
def test_no_visit_is_lost_when_another_node_takes_over(
    cluster: Patroni, workers: list[Pserve], fail: Callable[[Patroni], None], most: float
) -> None:
    pauses = []
    for _ in range(FAILOVERS):
        pauses.append(longest_pause(workers, lambda: fail(cluster)))
        for node in cluster.nodes:  # the old primary comes back, as a standby
            node.start(120)
        cluster.settle()
    print(f"{fail.__name__}: median {statistics.median(pauses):.1f} s of {sorted(pauses)}")
    assert max(pauses) < most


def test_the_death_of_the_standby_that_confirms_commits_ends_no_session(
    cluster: Patroni, workers: list[Pserve]
) -> None:
    """Patroni has commits wait for the third node then."""
    (standby,) = [node for node in cluster.nodes if node.answers("synchronous")]
    pause = longest_pause(workers, standby.kill)
    print(f"standby killed: {pause:.1f} s")
    standby.start(120)
    cluster.settle()
    assert pause < LONGEST


def test_pages_are_served_while_etcd_is_away(cluster: Patroni, workers: list[Pserve]) -> None:
    """`failsafe_mode`: the primary goes on as long as it reaches its standbys."""

    def lose_etcd() -> None:
        for member in cluster.members:
            member.stop()
        primary, began = cluster.primary, time.monotonic()
        said = "continue to run as a leader because failsafe mode is enabled"
        before = primary.output().count(said)
        assert until(lambda: primary.output().count(said) > before + 1, 60)
        assert until(lambda: time.monotonic() > began + 2 * TTL, 3 * TTL)
        assert cluster.primary is primary

    try:
        pause = longest_pause(workers, lose_etcd)
    finally:
        for member in cluster.members:
            member.start()
    cluster.settle()
    print(f"etcd away: {pause:.1f} s")
    assert pause < 5
