"""What a cluster loses when a master dies under load: writes that were answered, and are gone."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.cli import say, table
from sessionsite.sessions import StoreError, utc_now
from sessionsite.sessions.valkey import ValkeyStore
from sessionsite.testing import record
from tests.harness.observing import until
from tests.harness.redis_cluster import Cluster
from tests.harness.stores import valkey_store

VISITORS = 24
LOAD, CUT, AFTER = 1.5, 0.5, 1.5  # seconds: before the kill, without the replica, after it
HEADER = ["", "runs", "answered writes", "of these lost", "of so many sessions", "503 for, s"]


@dataclass(frozen=True)
class Case:
    name: str
    waits: int = 0
    """`session.valkey.wait_replicas`."""
    minimum: int = 0
    """`min-replicas-to-write`, with a lag of a second."""
    cut: bool = False
    """The replica is cut off from its master before that is killed."""
    runs: int = 3


CASES = [
    Case("Valkey or Redis, as it comes"),
    Case("the same, link cut", cut=True),
    Case("`wait_replicas = 1`", waits=1),
    Case("the same, link cut", waits=1, cut=True),
    Case("`min-replicas-to-write 1`, link cut", minimum=1, cut=True),
]


@dataclass
class Visitor:
    """One who loads and saves without a pause, and notes what was answered."""

    store: ValkeyStore
    name: str
    answered: int = 0
    """The version that the last answer told of."""
    writes: int = 0
    lost: int = 0
    failed: list[float] = field(default_factory=list)
    stopped: bool = False

    def run(self) -> None:
        while not self.stopped:
            try:
                self._visit()
            except StoreError:
                self.failed.append(time.monotonic())
                time.sleep(0.02)

    def _visit(self) -> None:
        now = utc_now()
        if not self.answered:
            self.store.create(record(self.name, created_at=now, expires_at=None))
            self.answered = self.writes = 1
        found = self.store.load(f"id-{self.name}", now)
        version = found.version if found else 0
        if version < self.answered:
            self.lost += self.answered - version
        self.answered = version
        if found and self.store.save(replace(found, payload=f"{version}"), version, now):
            self.answered += 1
            self.writes += 1


@dataclass
class Found:
    """What became of one case."""

    writes: int = 0
    lost: int = 0
    sessions: int = 0
    seconds: float = 0
    """From the kill to the last 503, at most."""
    mended: bool = True
    """No 503 at the end, though the killed master is not back."""

    def line(self, case: Case) -> list[object]:
        failing = f"{self.seconds:.1f}" if self.mended else "until a replica is back"
        counts = (
            f"{self.writes:,}",
            f"{self.lost:,}",
            f"{self.sessions} of {VISITORS * case.runs}",
        )
        return [case.name, case.runs, *counts, failing]


def run(case: Case, directory: Path, found: Found) -> None:
    """Kill a master of a new cluster under load, and add what that did to `found`."""
    directory.mkdir()
    keys = {"prefix": "x:", "timeout": "2", "wait_replicas": str(case.waits)}
    with Cluster(directory) as cluster, closing(valkey_store(cluster.url, **keys)) as store:
        for node in cluster.nodes:
            node.run("CONFIG", "SET", "min-replicas-to-write", str(case.minimum))
            node.run("CONFIG", "SET", "min-replicas-max-lag", "1")
        visitors = [Visitor(store, str(number)) for number in range(VISITORS)]
        threads = [threading.Thread(target=each.run) for each in visitors]
        for thread in threads:
            thread.start()
        time.sleep(LOAD)
        master = cluster.masters[0]
        replica = cluster.replica_of(master)
        if case.cut:
            master.cut_off()
            time.sleep(CUT)
        killed = time.monotonic()
        master.kill()
        if not until(lambda: replica.info()["role"] == "master"):
            raise RuntimeError("no replica took over")
        time.sleep(AFTER)
        end = time.monotonic()
        for each in visitors:
            each.stopped = True
        for thread in threads:
            thread.join()
        _add(found, visitors, killed, end)


def _add(found: Found, visitors: Sequence[Visitor], killed: float, end: float) -> None:
    last = max((each.failed[-1] for each in visitors if each.failed), default=killed)
    for each in visitors:
        try:
            stored = each.store.load(f"id-{each.name}", utc_now())
            each.lost += max(0, each.answered - (stored.version if stored else 0))
        except StoreError:
            raise RuntimeError("a session can't be read after the failover") from None
    found.writes += sum(each.writes for each in visitors)
    found.lost += sum(each.lost for each in visitors)
    found.sessions += sum(bool(each.lost) for each in visitors)
    found.seconds = max(found.seconds, last - killed)
    found.mended &= end - last > AFTER / 3


def measure(cases: Sequence[Case], directory: Path) -> str:
    """Return the table."""
    lines = []
    for number, case in enumerate(cases):
        found = Found()
        for turn in range(case.runs):
            run(case, directory / f"cluster-{number}-{turn}", found)
            say(f"{case.name}: {found}")
        lines.append(found.line(case))
    return table(HEADER, lines)
