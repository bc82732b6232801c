"""Statements that are given up: in time, in the server as well, and never taken for a success."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.libpq import StoreConnection
from sessionsite.sessions.store import Record, StoreBusyError, StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.forking import in_child
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.standby import standby_gone
from tests.harness.stores import sql_store

TIMEOUT = 2  # seconds
SLACK = 1
pooled = pytest.mark.parametrize("query", ["", "?prepare_threshold=none"], ids=["own", "pooled"])


@pytest.fixture
def query() -> str:
    return ""


@pytest.fixture
def store(postgres_url: str, query: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(f"{postgres_url}{query}", timeout=TIMEOUT, transact_timeout=3)
    store.create(record())
    yield store
    store.close()


@contextmanager
def locked(postgres: Postgres, url: str, what: str) -> Iterator["psycopg.Connection[Any]"]:
    with postgres.connect(url) as other, other.transaction():
        other.execute(what)
        yield other


ROW = "SELECT FROM sessions WHERE id = 'id-a' FOR UPDATE"
TABLE = "LOCK sessions IN SHARE MODE"
CALLS: dict[str, Callable[[SQLAlchemyStore], Any]] = {
    "save": lambda store: store.save(record(payload='{"n": 1}'), 1, START),
    "update": lambda store: store.update("id-a", START, lambda r: replace(r, payload="[1]")),
    "delete": lambda store: store.delete("id-a"),
}


@pooled
@pytest.mark.parametrize("call", CALLS)
def test_a_row_that_is_locked_is_waited_for_in_bounds_and_nothing_stays_behind(
    postgres: Postgres, postgres_url: str, store: SQLAlchemyStore, call: str
) -> None:
    with locked(postgres, postgres_url, ROW) as other:
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match="lock timeout"):
            CALLS[call](store)
        assert time.monotonic() - began < TIMEOUT
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM"
        waiting += " pg_database WHERE datname = current_database())"
        assert other.execute(waiting).fetchall() == []
    assert store.load("id-a", START) == record()
    assert CALLS[call](store)  # and the connection is as good as new


def backends(other: "psycopg.Connection[Any]") -> list[int]:
    rows = other.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'sessionsite' AND state <> 'idle'"
    )
    return [pid for (pid,) in rows]


def test_while_a_table_is_locked_few_wait_and_none_stays_behind(
    postgres: Postgres, postgres_url: str, store: SQLAlchemyStore
) -> None:
    for number in range(8):
        store.create(record(str(number)))

    def save(number: int) -> float:
        began = time.monotonic()
        with pytest.raises(StoreError):
            store.save(record(str(number), payload='{"n": 1}'), 1, START)
        return time.monotonic() - began

    with locked(postgres, postgres_url, TABLE) as other:
        began = time.monotonic()
        took = in_parallel(8, save)
        assert max(took) < TIMEOUT
        assert sum(seconds > 1.1 for seconds in took) <= 2  # half of the pool's five
        at_once = in_parallel(8, save)  # but for those that look whether the store is back
        assert sum(seconds < 0.4 for seconds in at_once) >= 6
        assert until(lambda: backends(other) == [], 10)
        assert time.monotonic() - began < 60
    assert until(lambda: store.save(record("1", payload='{"n": 1}'), 1, START), 5)


@pooled
@pytest.mark.parametrize("call", ["create", "save", "update", "delete"])
def test_a_commit_that_no_standby_has_confirmed_is_no_success(
    stoppable_postgres: Postgres, query: str, call: str
) -> None:
    """PostgreSQL reports it as one, with a warning; the standby may be tomorrow's primary."""
    server = stoppable_postgres
    server.start()
    url = server.create_database("unreplicated")
    store = sql_store(f"{url}{query}", timeout=TIMEOUT)
    store.create(record())
    calls = CALLS | {"create": lambda store: store.create(record("new"))}
    with standby_gone(server), server.connect() as admin:
        began = time.monotonic()
        with pytest.raises(StoreError, match="no answer within"):
            calls[call](store)
        assert time.monotonic() - began < TIMEOUT
        assert until(lambda: waiting(admin, url) == [], 10)  # it was cancelled
        with ThreadPoolExecutor(1) as threads:  # an operator's cancel is none either
            calling = threads.submit(store.create, record("other"))
            assert until(lambda: waiting(admin, url) != [])
            for pid in waiting(admin, url):
                admin.execute("SELECT pg_cancel_backend(%s)", [pid])
            with pytest.raises(StoreError, match="standby has not confirmed"):
                calling.result(60)
    assert until(lambda: store.load("id-a", START) is not None or call == "delete")
    store.close()


def test_pruning_waits_for_no_standby(stoppable_postgres: Postgres) -> None:
    """What it deletes has ended anyway, and would end again: its commits may be lost."""
    server = stoppable_postgres
    server.start()
    url = server.create_database("pruned")
    store = sql_store(url, timeout=TIMEOUT)
    later = START + timedelta(days=1)
    for name in "abc":
        store.create(record(name))
    with standby_gone(server):
        assert len(store.prune_batch(later, 1)) == 1
        assert store.prune(later, 5) == 2
        with pytest.raises(StoreError, match="no answer within"):  # the next commit waits again
            store.create(record("d"))
    store.close()


def waiting(admin: "psycopg.Connection[Any]", url: str) -> list[int]:
    """The backends whose commits wait for the standby."""
    rows = admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event = 'SyncRep'",
        [url.rpartition("/")[2]],
    )
    return [pid for (pid,) in rows]


@pooled
def test_a_change_of_the_apps_may_take_longer_than_a_statement(
    store: SQLAlchemyStore, query: str
) -> None:
    def change(newest: Record) -> Record:
        time.sleep(TIMEOUT + 0.3)
        return replace(newest, payload='{"n": 1}')

    assert store.update("id-a", START, change) == record(payload='{"n": 1}', version=2)


@pooled
def test_one_that_takes_for_ever_is_ended_and_stores_nothing(
    store: SQLAlchemyStore, query: str
) -> None:
    def change(newest: Record) -> Record:
        time.sleep(4)  # of 3
        return replace(newest, payload='{"n": 1}')

    with pytest.raises(StoreError):
        store.update("id-a", START, change)
    assert store.load("id-a", START) == record()


@pooled
def test_work_on_many_rows_has_limits_of_its_own(store: SQLAlchemyStore, query: str) -> None:
    """Deleting a batch takes long on a slow disk, and no visitor waits for it."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(3); RETURN OLD; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER slow BEFORE DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION slow()"
        )
    assert store.prune(START + timedelta(days=9), 10) == 1
    # and then the limits of requests hold again
    store.create(record())
    with pytest.raises(StoreError, match="statement timeout"):
        store.delete("id-a")


def test_a_child_cancels_nothing_of_its_parents(store: SQLAlchemyStore) -> None:
    with store._connection("id-x") as leased:
        connection: StoreConnection = leased
        connection.pgconn.send_query(b"SELECT pg_sleep(1)")

        def close() -> int:
            connection.close()
            return threading.active_count()

        assert in_child(close) == 1
        assert connection.answer().ntuples == 1


def test_where_no_thread_can_be_had_the_connection_is_closed(
    store: SQLAlchemyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    used: list[StoreConnection] = []

    def interrupt() -> None:
        with store._connection("id-x") as connection:
            used.append(connection)
            monkeypatch.setattr(threading.Thread, "start", refuse)
            connection.pgconn.send_query(b"SELECT pg_sleep(1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupt()
    assert used[0].closed


@pytest.mark.parametrize("call", [0, 1], ids=["at its beginning", "at its end"])
def test_a_connection_that_breaks_around_work_on_many_rows_is_no_other_error(
    store: SQLAlchemyStore, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls: list[Any] = []
    limit = StoreConnection.limit

    def breaks(connection: StoreConnection, limits: Any) -> None:
        calls.append(limits)
        if len(calls) == call + 1:
            raise psycopg.OperationalError("the connection is lost")
        limit(connection, limits)

    monkeypatch.setattr(StoreConnection, "limit", breaks)
    with pytest.raises(StoreError, match="the connection is lost"):
        store.count_expired(START)
    monkeypatch.undo()
    assert store.count_expired(START) == 0


def test_a_connection_that_can_not_be_prepared_is_closed(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[StoreConnection] = []

    def fail(connection: StoreConnection, limits: Any) -> None:
        made.append(connection)
        raise psycopg.OperationalError("no answer")

    monkeypatch.setattr(StoreConnection, "prepare", fail)
    store = sql_store(postgres_url, create_table=False)
    with pytest.raises(StoreError, match="no answer"):
        store.delete("id-a")
    assert made[0].closed
    store.close()
