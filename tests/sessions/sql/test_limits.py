"""At the limit of connections: who can't have one of its own waits for one of ours that works."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from sessionsite.sessions.sql import SQLAlchemyStore, sessions_table
from sessionsite.sessions.store import StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.postgres import Postgres, end_clients
from tests.harness.stores import sql_store

VISITORS = 8
MakeStore = Callable[..., SQLAlchemyStore]


@dataclass(frozen=True)
class Role:
    """A role that may have so many connections, and a store that uses it."""

    name: str
    url: str
    admin: psycopg.Connection[Any]

    def may_have(self, connections: int) -> None:
        limit = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
        self.admin.execute(limit.format(sql.Identifier(self.name), sql.Literal(connections)))

    def pids(self) -> list[int]:
        query = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
        return [pid for (pid,) in self.admin.execute(query, [self.name])]


@pytest.fixture
def role(postgres: Postgres, postgres_url: str) -> Iterator[Role]:
    name = f"visitor_{secrets.token_hex(4)}"
    sql_store(postgres_url).close()
    with postgres.connect(postgres_url) as admin:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p' CONNECTION LIMIT 3")
        admin.execute(create.format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
                sql.Identifier(sessions_table("sessions", None).name), sql.Identifier(name)
            )
        )
        made = sa.make_url(postgres_url).set(username=name, password="p")
        try:
            yield Role(name, made.render_as_string(hide_password=False), admin)
        finally:
            end_clients(admin, "usename = %s", name)
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def make_store(role: Role) -> Iterator[MakeStore]:
    stores = []

    def make(timeout: int = 20, **engine: str) -> SQLAlchemyStore:
        options = {"pool_size": str(VISITORS), **engine}
        # what this file is about is the pool's own patience
        settings = {"create_table": False, "timeout": timeout, "max_waiting": 100}
        stores.append(sql_store(role.url, engine=options, **settings))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def visit(store: SQLAlchemyStore, number: int, times: int = 1) -> None:
    id_ = f"id-{number}"
    for _ in range(times):
        found = store.load(id_, START)
        if found is None:
            store.create(record(str(number)))
        else:
            assert store.save(found, found.version, START)


@pytest.mark.parametrize(
    "engine",
    [{}, {"pool_pre_ping": "true"}, {"max_overflow": "-1"}],
    ids=["as it is", "pinged", "without end"],
)
def test_all_visitors_are_served_by_the_connections_that_can_be_had(
    make_store: MakeStore, role: Role, engine: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(**engine)
    for _ in range(3):
        in_parallel(VISITORS, lambda number: visit(store, number, times=30))
        assert len(role.pids()) <= 3
        store.close()  # and from the start: eight threads at once, and no connection
    assert "requests wait for one of" in caplog.text
    assert "too many connections" in caplog.text


def test_it_is_said_once_and_not_for_each_request(
    make_store: MakeStore, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store()
    in_parallel(VISITORS, lambda number: visit(store, number, times=100))
    assert 1 <= caplog.text.count("requests wait for one of") <= 3


def test_where_no_connection_works_it_is_an_outage_at_once(
    make_store: MakeStore, role: Role
) -> None:
    role.may_have(0)
    store = make_store()

    def load(_: int) -> str:
        with pytest.raises(StoreError) as caught:
            store.load("id-a", START)
        return str(caught.value)

    began = time.monotonic()
    told = in_parallel(VISITORS, load)
    assert time.monotonic() - began < 10  # of 20
    assert all("too many connections" in reason for reason in told)


def test_the_wait_ends_and_is_no_outage(make_store: MakeStore) -> None:
    store = make_store(timeout=1)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(store._connection("id-x"))
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"none of 3 connections came free in 0\.9 seconds"):
            store.load("id-a", START)
        assert 0.8 < time.monotonic() - began < 5
    assert in_parallel(3, lambda _: store.load("id-a", START)) == [None] * 3


def test_a_pool_without_patience_does_not_wait(make_store: MakeStore) -> None:
    store = make_store(pool_timeout="0")
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(store._connection("id-x"))
        with pytest.raises(StoreError, match=r"no other is to be had: .*too many connections"):
            store.load("id-a", START)


def test_where_the_pool_is_at_its_own_limit_it_is_no_outage_either(make_store: MakeStore) -> None:
    store = make_store(timeout=1, pool_size="2")

    def load(_: int) -> None:
        with pytest.raises(StoreError, match=r"\AQueuePool: none of 2 connections came free"):
            store.load("id-a", START)

    with store._connection("id-x"), store._connection("id-x"):
        load(0)
        in_parallel(4, load)  # none of whom is refused at once


def test_whoever_waits_gets_the_first_that_comes_free(make_store: MakeStore) -> None:
    store = make_store()
    pool: Any = store.engine.pool
    with ThreadPoolExecutor(1) as threads, ExitStack() as held:
        for _ in range(3):
            held.enter_context(store._connection("id-x"))
        waiting = threads.submit(store.load, "id-a", START)
        while not pool._waiting:
            time.sleep(0.001)
        began = time.monotonic()
        held.close()
        assert waiting.result(60) is None
    assert time.monotonic() - began < 0.5  # and not only when it is time to ask the database again


def test_whoever_waits_is_told_when_the_last_one_is_lost(make_store: MakeStore, role: Role) -> None:
    role.may_have(1)
    store = make_store()
    pool: Any = store.engine.pool

    def lose() -> None:
        with store._connection("id-x") as connection:
            lent.set()
            while not pool._waiting:
                time.sleep(0.001)
            role.may_have(0)
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    lent = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        losing = threads.submit(lose)
        lent.wait(60)
        waiting = threads.submit(store.load, "id-a", START)
        began = time.monotonic()
        with pytest.raises(StoreError):
            losing.result(60)
        with pytest.raises(StoreError, match="too many connections"):
            waiting.result(60)
    assert time.monotonic() - began < 10  # of 20


def test_more_are_used_once_they_can_be_had(make_store: MakeStore, role: Role) -> None:
    role.may_have(1)
    store = make_store()

    def hold(_: int) -> None:
        with store._connection("id-x"):
            time.sleep(0.05)

    in_parallel(3, hold)
    assert len(role.pids()) == 1
    role.may_have(3)
    deadline = time.monotonic() + 30
    while len(role.pids()) < 3:
        in_parallel(VISITORS, hold)
        assert time.monotonic() < deadline


def test_whoever_waits_takes_the_place_of_a_connection_that_is_lost(
    make_store: MakeStore,
) -> None:
    store = make_store(pool_size="1")
    pool: Any = store.engine.pool

    def lose() -> None:
        with store._connection("id-x") as connection:
            lent.set()
            while not pool._waiting:
                time.sleep(0.001)
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    lent = threading.Event()
    with ThreadPoolExecutor(2) as threads:
        losing = threads.submit(lose)
        lent.wait(60)
        began = time.monotonic()
        assert threads.submit(store.load, "id-a", START).result(60) is None
        assert time.monotonic() - began < 10  # of 20
        with pytest.raises(StoreError):
            losing.result(60)


def test_while_they_wait_one_asks_the_database_again(make_store: MakeStore) -> None:
    store = make_store()
    pool: Any = store.engine.pool
    ask = pool._invoke_creator
    asked: list[float] = []

    def count(record: Any) -> Any:
        asked.append(time.monotonic())
        return ask(record)

    pool._invoke_creator = count
    with ThreadPoolExecutor(5) as threads, ExitStack() as held:
        for _ in range(3):
            held.enter_context(store._connection("id-x"))
        waiting = [threads.submit(store.load, "id-a", START) for _ in range(5)]
        began = time.monotonic()
        time.sleep(3.5)
        held.close()
        for each in waiting:
            assert each.result(60) is None
    # the five that came at once, perhaps, and then one per second
    again = [moment - began for moment in asked if moment - began > 0.5]
    assert 2 <= len(again) <= 4
