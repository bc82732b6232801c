"""A server that answers late, or not at all: who waits for it, and for how long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from uuid import uuid4

import pytest

from sessionsite.sessions.breaker import CircuitBreaker
from sessionsite.sessions.store import Record, StoreError
from sessionsite.sessions.valkey import ValkeyStore
from sessionsite.sessions.valkey.answers import Asked
from sessionsite.testing import START, in_parallel, record
from tests.harness.observing import until
from tests.harness.redis import Redis
from tests.harness.stores import valkey_store

pytestmark = pytest.mark.servers

THREADS = 8
SEATS = 2  # of session.valkey.max_waiting, as it comes
TIMEOUT = 2  # seconds


@pytest.fixture
def store(redis: Redis) -> Iterator[ValkeyStore]:
    """A store with a row per thread, and connections for all of them."""
    store = valkey_store(redis.url, prefix=f"{uuid4()}:", timeout=TIMEOUT)
    for number in range(THREADS):
        store.create(record(str(number)))
    in_parallel(THREADS, lambda number: store.load(f"id-{number}", START))
    yield store
    store.close()


@contextmanager
def frozen(redis: Redis) -> Iterator[None]:
    redis.pause()
    try:
        yield
    finally:
        redis.resume()


def seconds_in_vain(store: ValkeyStore, number: int) -> float:
    began = time.monotonic()
    with pytest.raises(StoreError):
        store.load(f"id-{number}", START)
    return time.monotonic() - began


def test_of_a_server_that_is_silent_few_wait(store: ValkeyStore, redis: Redis) -> None:
    with frozen(redis):
        took = in_parallel(THREADS, lambda number: seconds_in_vain(store, number))
        assert max(took) < TIMEOUT + 1
        assert sum(seconds > 0.9 for seconds in took) <= SEATS
        at_once = in_parallel(THREADS, lambda number: seconds_in_vain(store, number))
        assert sum(seconds < 0.4 for seconds in at_once) >= THREADS - SEATS
    assert until(lambda: _loads(store))


def test_an_answer_that_comes_late_is_nobodys(store: ValkeyStore, redis: Redis) -> None:
    """Not even that of a request which has asked, on the same connection, just before it comes."""
    found: dict[int, Record | None] = {}

    def ask(number: int) -> None:
        with suppress(StoreError):
            found[number] = store.load(f"id-{number}", START)

    with frozen(redis):
        asking = [Thread(target=ask, args=[number % THREADS]) for number in range(2 * THREADS)]
        for each in asking[:THREADS]:
            each.start()
        time.sleep(0.8)  # all but those with seats have been sent away
        for each in reversed(asking[THREADS:]):  # for other rows, on the same connections
            each.start()
        time.sleep(0.1)
    for each in asking:
        each.join()
    assert found.items() <= {number: record(str(number)) for number in range(THREADS)}.items()
    assert until(lambda: _loads(store))
    in_parallel(THREADS, ask)
    assert found == {number: record(str(number)) for number in range(THREADS)}


def test_who_waits_for_a_lock_does_not_make_the_server_away(
    store: ValkeyStore, redis: Redis
) -> None:
    for number in range(4):
        lock = store.keys.session(f"id-{number}")[1]
        redis.run("SET", lock, "another's", "PX", "10000")

    def save(number: int) -> None:
        with pytest.raises(StoreError):
            store.save(record(str(number)), 1, START)

    in_parallel(4, save)
    assert store.load("id-0", START) == record("0")
    assert store.save(record("7"), 1, START)


def test_one_slow_answer_does_not_make_the_server_away_and_several_do() -> None:
    breaker = CircuitBreaker()
    waiting = [Asked("", breaker) for _ in range(3)]
    for _ in range(3):
        waiting[0].starves()
    assert not breaker.is_open
    for each in waiting:
        each.starves()
    assert breaker.is_open


def _loads(store: ValkeyStore) -> bool:
    try:
        return store.load("id-0", START) is not None
    except StoreError:
        return False
