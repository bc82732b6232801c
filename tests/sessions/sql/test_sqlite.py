"""SQLite's one writer at a time: the others wait, in bounds, and few of them."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sessionsite.sessions import ConfigurationError
from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.sqlite import SQLite
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


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def delete_files(url: str) -> None:
    file = file_of(url)
    for each in file.parent.glob(f"{file.name}*"):
        each.unlink()


def test_nothing_is_written_to_a_file_that_was_deleted(
    store: SQLAlchemyStore, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite would go on with what it has open: each visit answered, and all lost at the end."""
    delete_files(sqlite_url)
    with pytest.raises(StoreError, match="deleted or replaced"):
        save(store, 0)
    with pytest.raises(StoreError, match="there is no table"):
        store.load("id-0", START)
    sql_store(sqlite_url).close()
    assert store.load("id-0", START) is None
    store.create(record("0"))
    assert store.load("id-0", START) == record("0")
    assert str(file_of(sqlite_url)) in caplog.text


def test_a_file_that_takes_its_place_is_read_at_once(
    store: SQLAlchemyStore, sqlite_url: str
) -> None:
    backup = f"sqlite:///{file_of(sqlite_url).with_name('backup.db')}"
    other = sql_store(backup)
    other.create(record("restored"))
    other.close()
    delete_files(sqlite_url)
    file_of(backup).rename(file_of(sqlite_url))
    assert store.load("id-restored", START) == record("restored")
    assert store.load("id-0", START) is None


def test_a_file_that_can_not_be_asked_is_taken_to_be_there(
    store: SQLAlchemyStore, sqlite_url: str
) -> None:
    file = file_of(sqlite_url)
    file.unlink()
    file.symlink_to(file)
    assert save(store, 0)


def test_a_fault_that_no_wait_mends_is_not_waited_for(sqlite_url: str) -> None:
    sqlite3.connect(file_of(sqlite_url)).close()
    store = sql_store(
        f"sqlite:///file:{file_of(sqlite_url)}?mode=ro&uri=true", create_table=False, timeout=30
    )
    began = time.monotonic()
    with pytest.raises(StoreError, match="readonly"):
        store.load("id-0", START)
    assert time.monotonic() - began < 5
    store.close()


def test_recovery_after_a_crash_is_a_lock_as_well() -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorname = "SQLITE_BUSY_RECOVERY"
    assert SQLite().is_locked(error)


@pytest.mark.parametrize("query", ["timeout=30", "check_same_thread=true", "b.db"])
def test_a_file_has_no_parameters(sqlite_url: str, query: str) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.sqlalchemy\.url: a file has no"):
        sql_store(f"{sqlite_url}?{query}")
