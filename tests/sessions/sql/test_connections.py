"""Connections: lent per statement, so that no request starves."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from sessionsite.sessions.sql.engine import make_engine
from sessionsite.sessions.store import StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.postgres import Postgres
from tests.harness.stores import settings_of, sql_store

MakePool = Callable[..., Any]


@pytest.fixture
def make_pool(sqlite_url: str) -> Iterator[MakePool]:
    engines = []

    def make(**options: Any) -> Any:
        engines.append(make_engine(settings_of(sqlite_url, **options)))
        return engines[-1].pool

    yield make
    for engine in engines:
        engine.dispose()


def lend_in_turn(pool: Any, times: int) -> int:
    """Lend and take back `times` times; return how often that was a check-out."""
    checkouts = 0

    def count(*_: object) -> None:
        nonlocal checkouts
        checkouts += 1

    sa.event.listen(pool, "checkout", count)
    for _ in range(times):
        pool.take_back(pool.lend())
    return checkouts


def is_open(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:  # it is closed
        return False
    return True


def test_a_connection_whose_first_statements_fail_is_closed(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    made: list[Any] = []
    sa.event.listen(pool, "connect", lambda connection, _: made.append(connection), insert=True)

    def fail(_: object) -> None:
        raise sqlite3.OperationalError("no answer")

    monkeypatch.setattr(pool._dialect, "initialize", fail)
    with pytest.raises(sqlite3.OperationalError, match="no answer"):
        pool.lend()
    assert [is_open(connection) for connection in made] == [False]
    assert pool.open == 0


def test_the_next_one_gets_the_connection_that_is_there(make_pool: MakePool) -> None:
    assert lend_in_turn(make_pool(), 5) == 1


@pytest.mark.parametrize(
    "option",
    [{"pool_pre_ping": "true"}, {"pool_recycle": "3600"}, {"pool_reset_on_return": "rollback"}],
)
def test_a_pool_that_is_to_look_at_each_connection_does(
    make_pool: MakePool, option: dict[str, str]
) -> None:
    assert lend_in_turn(make_pool(**option), 5) == 5


def test_a_connection_is_lent_to_one_at_a_time(make_pool: MakePool) -> None:
    pool = make_pool()
    lent = [pool.lend() for _ in range(3)]
    assert len({id(pooled.dbapi_connection) for pooled in lent}) == 3
    for pooled in lent:
        pool.take_back(pooled)


def test_who_waits_gets_the_connection_that_comes_free(make_pool: MakePool) -> None:
    pool = make_pool(pool_size="1", max_overflow="0", pool_timeout="30")
    pooled = pool.lend()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.lend)
        while not pool._waiting:
            time.sleep(0.001)
        pool.take_back(pooled)
        pool.take_back(waiting.result(timeout=10))


def test_no_request_waits_in_vain(make_pool: MakePool) -> None:
    """Whatever comes between looking at what is kept and waiting for a check-in."""
    pool = make_pool(pool_size="2", max_overflow="0", pool_timeout="2")

    def use(_: int) -> None:
        for turn in range(500):
            pooled = pool.lend()
            time.sleep(0.0001 * (turn % 2))
            pool.take_back(pooled)

    in_parallel(6, use)


@pytest.mark.parametrize("overflow", ["0", "1"])
def test_the_engine_has_connections_for_others(make_pool: MakePool, overflow: str) -> None:
    pool = make_pool(pool_size="1", max_overflow=overflow, pool_timeout="1")
    pool.take_back(pool.lend())
    pool.connect().close()


def test_no_more_connections_are_kept_than_the_pool_has(make_pool: MakePool) -> None:
    pool = make_pool(pool_size="1", max_overflow="3")
    lent = [pool.lend() for _ in range(4)]
    connections = [pooled.dbapi_connection for pooled in lent]
    for pooled in lent:
        pool.take_back(pooled)
    # one is kept, and one checked in
    assert [is_open(connection) for connection in connections] == [True, True, False, False]


def test_a_connection_that_has_failed_is_not_lent_again(make_pool: MakePool) -> None:
    pool = make_pool()
    pooled = pool.lend()
    connection = pooled.dbapi_connection
    pooled.invalidate()
    pool.take_back(pooled)
    pooled = pool.lend()
    assert pooled.dbapi_connection is not connection
    pool.take_back(pooled)


def test_dispose_closes_what_is_kept_and_what_comes_back_later(make_pool: MakePool) -> None:
    pool = make_pool()
    kept, lent = pool.lend(), pool.lend()
    connections = [kept.dbapi_connection, lent.dbapi_connection]
    pool.take_back(kept)
    pool.dispose()
    assert [is_open(connection) for connection in connections] == [False, True]
    pool.take_back(lent)
    assert [is_open(connection) for connection in connections] == [False, False]


def test_while_a_fork_is_under_way_nothing_is_made_and_nothing_kept(make_pool: MakePool) -> None:
    pool = make_pool(pool_timeout="30")
    lent = pool.lend()
    before = lent.dbapi_connection
    with ThreadPoolExecutor(2) as threads:
        forking = threads.submit(lambda: (pool.drain(held=0), pool.resume()))
        while not pool._draining:
            time.sleep(0.001)
        waiting = threads.submit(pool.lend)
        while not pool._waiting:
            assert pool.open == 1
            time.sleep(0.001)
        pool.take_back(lent)
        forking.result(60)
        pool.take_back(waiting.result(60))
    assert not is_open(before)
    assert lend_in_turn(pool, 2) == 0  # it keeps connections again


def test_a_server_that_is_stopped_is_asked_by_few_threads_at_a_time(
    stoppable_postgres: Postgres,
) -> None:
    store = sql_store(stoppable_postgres.create_database("outage"), timeout=2)
    store.create(record())
    stoppable_postgres.pause()
    for _ in range(2):  # by the connection that stands, and by a new one
        with pytest.raises(StoreError):
            store.load("id-a", START)

    def load(_: int) -> str:
        with pytest.raises(StoreError) as caught:
            store.load("id-a", START)
        return str(caught.value)

    reasons = in_parallel(8, load)
    assert sum(reason.startswith("still away") for reason in reasons) >= 6
    stoppable_postgres.resume()
    assert store.load("id-a", START) == record()
    store.engine.dispose()
