"""SQLite's one writer at a time: the others wait, in bounds, and few of them."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.store import StoreBusyError, StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.stores import sql_store

TIMEOUT = 2  # seconds


@pytest.fixture
def store(sqlite_url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(sqlite_url, timeout=TIMEOUT, max_waiting=1)
    for number in range(4):
        store.create(record(str(number)))
    yield store
    store.close()


@contextmanager
def locked(url: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.rollback()


def save(store: SQLAlchemyStore, number: int) -> bool:
    return store.save(record(str(number), payload='{"n": 1}'), 1, START)


def test_a_writer_waits_in_bounds(store: SQLAlchemyStore, sqlite_url: str) -> None:
    with locked(sqlite_url):
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match="database is locked"):
            save(store, 0)
        assert 1 < time.monotonic() - began < 2 * TIMEOUT
        assert store.load("id-0", START) == record("0")  # readers need not wait
    assert save(store, 0)


def test_a_writer_goes_on_as_soon_as_it_can(store: SQLAlchemyStore, sqlite_url: str) -> None:
    with locked(sqlite_url) as other:
        threading.Timer(0.6, other.rollback).start()
        assert save(store, 0)


def test_few_wait_for_longer_than_a_moment(store: SQLAlchemyStore, sqlite_url: str) -> None:
    def fail(number: int) -> float:
        began = time.monotonic()
        with pytest.raises(StoreError):
            save(store, number)
        return time.monotonic() - began

    with locked(sqlite_url):
        took = sorted(in_parallel(4, fail))
    assert took[2] < took[3] - 0.3  # three were sent away
    assert save(store, 0)


def test_work_for_which_nobody_waits_has_the_same_limit(
    store: SQLAlchemyStore, sqlite_url: str
) -> None:
    with locked(sqlite_url), pytest.raises(StoreError, match="database is locked"):
        store.prune(START, 10)
    assert store.prune(START, 10) == 0
