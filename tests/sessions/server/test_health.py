"""The health check reads each time, and writes at most once in a few seconds."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

import pytest

from sessionsite.sessions import MemoryStore, StoreError
from sessionsite.sessions.events import Teller
from sessionsite.sessions.server import health
from sessionsite.sessions.server.availability import Availability
from sessionsite.sessions.server.health import HealthCheck
from tests.harness.forking import in_child
from tests.harness.visitor import Clock


class Store(MemoryStore):
    """Counts what it is asked, and fails as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.writes = 0
        self.fault: str | None = None
        self.hold = threading.Event()
        self.hold.set()

    def load(self, id: str, now: datetime) -> None:
        self.reads += 1

    def try_write(self, now: datetime) -> None:
        self.writes += 1
        self.hold.wait(60)
        if self.fault:
            raise StoreError(self.fault)


class Clockwork:
    """A clock for the interval."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Clockwork:
    passed = Clockwork()
    monkeypatch.setattr(health, "monotonic", passed)
    return passed


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def availability(clock: Clock) -> Availability:
    return Availability(clock)


@pytest.fixture
def check(store: Store, availability: Availability, clock: Clock, passed: Clockwork) -> HealthCheck:
    return HealthCheck(lambda: store, availability, clock)


def test_it_reads_each_time_and_writes_now_and_then(
    check: HealthCheck, store: Store, passed: Clockwork
) -> None:
    for _ in range(10):
        check.ask()
    assert (store.reads, store.writes) == (10, 1)
    passed.seconds += health.INTERVAL
    check.ask()
    check.ask()
    assert store.writes == 2


def test_what_is_wrong_is_said_until_it_is_right(check: HealthCheck, store: Store) -> None:
    store.fault = "read-only"
    for _ in range(2):
        with pytest.raises(StoreError, match="read-only"):
            check.ask()
    store.fault = None
    check.ask()


def test_while_one_writes_the_others_are_told_what_was_found_before(
    check: HealthCheck, store: Store, passed: Clockwork
) -> None:
    check.ask()
    passed.seconds += health.INTERVAL
    store.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(check.ask)
        while store.writes < 2:
            pass
        check.ask()
        assert store.writes == 2
        store.fault = "no answer"
        store.hold.set()
        with pytest.raises(StoreError, match="no answer"):
            first.result(60)


def test_while_the_first_one_writes_the_others_wait_for_what_it_finds(
    check: HealthCheck, store: Store
) -> None:
    store.hold.clear()
    store.fault = "no answer"
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(check.ask) for _ in range(2)]
        while not store.writes:
            pass
        store.hold.set()
        for each in asking:
            with pytest.raises(StoreError, match="no answer"):
                each.result(60)
    assert store.writes == 1 or store.reads == 2


def test_the_others_wait_no_longer_than_a_moment(check: HealthCheck, store: Store) -> None:
    """Each holds a thread of the server, which pages need."""
    store.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(check.ask)
        while not store.writes:
            pass
        began = time.monotonic()
        with pytest.raises(StoreError, match="still being written"):
            check.ask()
        took = time.monotonic() - began
        store.hold.set()
        first.result(60)
    assert 0.4 < took < 5
    check.ask()


def test_a_child_finds_out_for_itself(check: HealthCheck, store: Store) -> None:
    store.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(check.ask)
        while not store.writes:
            pass

        def ask() -> int:
            store.hold.set()
            check.ask()
            return store.writes

        assert in_child(ask) == 2
        store.hold.set()
        asking.result(60)


def fail(availability: Availability) -> None:
    availability.lost(StoreError("no space left"), availability.ask(writes=True), Teller())


def test_it_is_red_while_requests_fail_though_its_own_row_can_be_written(
    check: HealthCheck, availability: Availability, passed: Clockwork
) -> None:
    """A disk that is full may have room for it."""
    check.ask()
    fail(availability)
    passed.seconds += health.INTERVAL
    check.ask()  # the store may be back since
    fail(availability)
    passed.seconds += health.INTERVAL
    for _ in range(2):
        with pytest.raises(StoreError, match="no space left"):
            check.ask()
    fail(availability)
    availability.answered(availability.ask(writes=False), Teller())  # which tells nothing of writes
    passed.seconds += health.INTERVAL
    with pytest.raises(StoreError, match="no space left"):
        check.ask()
    availability.answered(availability.ask(writes=True), Teller())
    check.ask()


def test_nor_is_it_red_for_long_where_no_request_finds_out(
    check: HealthCheck, availability: Availability, passed: Clockwork
) -> None:
    for _ in range(3):
        fail(availability)
        passed.seconds += health.INTERVAL
        with suppress(StoreError):
            check.ask()
    passed.seconds += health.INTERVAL
    check.ask()


def test_after_an_outage_it_is_green_at_once(
    check: HealthCheck, availability: Availability, store: Store
) -> None:
    store.fault = "no answer"
    for _ in range(3):
        fail(availability)
        with pytest.raises(StoreError):
            check.ask()
    store.fault = None
    check.ask()
