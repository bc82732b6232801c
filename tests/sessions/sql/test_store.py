"""The SQL store beyond the contract: rows edited by hand, other names, JSON in PostgreSQL."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from pyramid.registry import Registry
from pyramid.request import Request

from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.server.session import ServerSession
from sessionsite.sessions.server.token_cookie import Credentials, hash_token, new_token
from sessionsite.sessions.settings import ServerSettings
from sessionsite.sessions.sql import (
    SQLAlchemyStore,
    create_table,
    make_engine,
    sessions_table,
    sqlite,
)
from sessionsite.sessions.sql_settings import sql_settings
from sessionsite.sessions.store import MalformedRecordError, Record, RecordExistsError, StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.observing import until
from tests.harness.stores import sql_keys, sql_store


def execute(store: Any, statement: str) -> Any:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql(statement)
        return result.all() if result.returns_rows else None


@pytest.mark.parametrize(
    "change",
    [
        "version = 'x'",
        "payload = x'00'",
        "created_at = 'soon'",
        "seen_at = 5",
        "expires_at = 'z'",
        "token_hash = 'text'",
        "old_token_hash = 'text'",
    ],
)
class TestARowThatIsNoRecord:
    """SQLite lets anything into any column; PostgreSQL does not."""

    def test_the_store_says_so(self, sqlite_url: str, change: str) -> None:
        store = sql_store(sqlite_url)
        store.create(record())
        execute(store, f"UPDATE sessions SET {change}")
        with pytest.raises(MalformedRecordError, match="id-a"):
            store.load("id-a", START)
        with pytest.raises(MalformedRecordError, match="id-a"):
            store.update("id-a", START, lambda newest: None)
        store.engine.dispose()

    def test_the_visitor_gets_a_new_session(
        self, sqlite_url: str, change: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = sql_store(sqlite_url)
        open_session = self.visitor_of(store)
        in_flight = open_session()
        execute(store, f"UPDATE sessions SET {change}")
        session = open_session()
        assert (dict(session), session.new) == ({}, True)
        assert "can't be read" in caplog.text
        in_flight["n"] = 2
        in_flight.save()
        store.delete("id-a")

    def test_a_logout_under_way_holds(self, sqlite_url: str, change: str) -> None:
        store = sql_store(sqlite_url)
        in_flight = self.visitor_of(store)()
        execute(store, f"UPDATE sessions SET {change}")
        in_flight.invalidate()
        in_flight.save()
        assert execute(store, "SELECT count(*) FROM sessions") == [(0,)]
        store.engine.dispose()

    def test_of_two_logouts_one_clears_the_cookie(
        self, sqlite_url: str, change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = sql_store(sqlite_url)
        open_session = self.visitor_of(store)
        first, second = open_session(), open_session()
        execute(store, f"UPDATE sessions SET {change}")
        delete = store.delete

        def after_the_first(id: str) -> bool:
            monkeypatch.undo()
            first.save()
            return delete(id)

        monkeypatch.setattr(store, "delete", after_the_first)
        for session in (first, second):
            session.invalidate()
        second.save()  # the browser may have a newer cookie by now
        assert (first._row.answer, second._row.answer) == ("end", None)
        store.engine.dispose()

    def visitor_of(self, store: SQLAlchemyStore) -> Callable[[], ServerSession]:
        """Create a visitor's row; return what a request of the visitor's opens."""
        settings = ServerSettings(secrets=("x" * 32,), timeout=None, lifetime=None)
        factory = ServerSessionFactory(store, settings, now=lambda: START)
        token = new_token()
        store.create(record(token_hash=hash_token(token)))
        value = factory.cookie._signer.dumps(Credentials("id-a", token)).decode()

        def open_session() -> ServerSession:
            request = Request.blank("/", headers={"Cookie": f"sessionsite={value}"})
            request.registry = Registry()
            return factory(request)

        return open_session


def test_the_table_and_its_schema_can_have_other_names(postgres_url: str) -> None:
    store = sql_store(postgres_url, create_table=False)
    execute(store, 'CREATE SCHEMA "Web sessions"')
    store.engine.dispose()
    other = sql_store(postgres_url, schema="Web sessions", table="the-table")
    other.create(record())
    assert other.save(record(payload='{"n": 2}'), 1, START)
    assert other.prune(START + timedelta(days=1), 10) == 1
    other.engine.dispose()


def test_postgresql_can_query_the_payload(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record(payload='{"history": ["http://h/about", "http://h/"]}'))
    assert execute(store, "SELECT payload->'history'->>1 FROM sessions") == [("http://h/",)]
    store.engine.dispose()


def test_postgresql_keeps_what_its_operators_can_not_read(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    text = json.dumps({"nul": "\x00", "half": "\ud800"})
    store.create(record(payload=text))
    loaded = store.load("id-a", START)
    assert loaded is not None
    assert loaded.payload == text
    store.engine.dispose()


def test_an_engine_of_the_host_app_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="make_engine"):
        SQLAlchemyStore(sa.create_engine("sqlite:///host.db"), sessions_table())


def test_a_table_of_another_shape_is_refused(sqlite_url: str) -> None:
    store = sql_store(sqlite_url, create_table=False)
    execute(store, "CREATE TABLE sessions (id TEXT PRIMARY KEY, sess TEXT)")
    store.engine.dispose()
    with pytest.raises(StoreError, match=r"lacks the columns .*payload"):
        sql_store(sqlite_url)


@pytest.mark.parametrize("error", [psycopg.OperationalError, sqlite3.OperationalError])
@pytest.mark.parametrize("kind", [pytest.param("postgres", marks=pytest.mark.servers), "sqlite"])
def test_an_error_of_the_apps_own_database_inside_update_is_the_apps(
    kind: str, error: type[Exception], request: pytest.FixtureRequest
) -> None:
    store = sql_store(request.getfixturevalue(f"{kind}_url"))
    store.create(record())

    def change(newest: Record) -> Record:
        raise error("the app's own database")

    with pytest.raises(error, match="the app's own"):
        store.update("id-a", START, change)
    assert store.save(record(payload='{"n": 2}'), 1, START)  # it holds no lock
    store.engine.dispose()


def test_a_create_whose_answer_was_lost_is_not_an_error(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record("first"))
    execute_elsewhere(postgres_url)
    store.create(record())  # on a connection that is dead: tried again on another
    execute_elsewhere(postgres_url)
    store.delete("id-first")
    execute_elsewhere(postgres_url)
    assert store.load("id-first", START) is None
    with pytest.raises(RecordExistsError):
        store.create(record())
    store.engine.dispose()


def execute_elsewhere(url: str) -> None:
    """End the server's side of every connection but one's own."""
    other = sql_store(url, create_table=False)
    execute(
        other,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    other.engine.dispose()


@pytest.mark.parametrize("kind", [pytest.param("postgres", marks=pytest.mark.servers), "sqlite"])
def test_a_column_of_the_operators_that_must_be_filled_is_a_store_error(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """And no id that is taken: that error is the app's, and no 503."""
    url = request.getfixturevalue(f"{kind}_url")
    store = sql_store(url)
    added = sa.schema.CreateTable(
        sa.Table(
            "theirs",
            sa.MetaData(),
            *(sa.Column(c.name, c.type, primary_key=c.primary_key) for c in store.table.columns),
            sa.Column("tenant", sa.Integer, nullable=False),
        )
    )
    with store.engine.connect() as connection:
        connection.execute(added)
    store.close()
    store = sql_store(url, table="theirs")
    with pytest.raises(StoreError, match="tenant"):
        store.create(record())
    store.close()


def test_close_gives_back_every_connection_and_the_next_call_opens_one(
    postgres_url: str,
) -> None:
    store = sql_store(postgres_url)
    store.create(record())
    in_parallel(3, lambda _: store.load("id-a", START))
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:

        def connections() -> int:
            row = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            assert row
            return int(row[0])

        assert connections() >= 1
        for _ in range(2):
            store.close()
            assert until(lambda: connections() == 0)
            assert store.load("id-a", START) == record()
            assert connections() == 1
    store.close()


def test_close_while_a_statement_runs_leaves_it_alone(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record())

    def change(newest: Record) -> Record:
        store.close()  # another thread's, as the command's or a health check's would be
        return replace(newest, payload='{"n": 2}')

    assert store.update("id-a", START, change) == record(payload='{"n": 2}', version=2)
    assert store.load("id-a", START) == record(payload='{"n": 2}', version=2)
    store.close()


def test_a_session_without_end_has_none_for_sqlalchemy_either(sqlite_url: str) -> None:
    store = sql_store(sqlite_url)
    store.create(record(expires_at=None))
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(store.table.c.expires_at)) is None
    store.engine.dispose()


def test_a_table_that_no_connection_is_left_for_is_one_line(sqlite_url: str) -> None:
    keys = sql_keys(sqlite_url, {"pool_size": "1", "max_overflow": "0", "pool_timeout": "1"})
    engine = make_engine(sql_settings(keys))
    with engine.connect(), pytest.raises(StoreError, match="can't create table sessions: Queue"):
        create_table(engine, sessions_table())
    engine.dispose()


def test_an_interruption_while_it_connects_is_no_store_error(sqlite_url: str) -> None:
    store = sql_store(sqlite_url)
    store.close()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    sa.event.listen(store.engine, "do_connect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.load("id-a", START)
    sa.event.remove(store.engine, "do_connect", interrupted)
    assert store.load("id-a", START) is None
    store.engine.dispose()


def test_an_interruption_before_long_work_gives_the_connection_back(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sql_store(sqlite_url, engine={"pool_size": "1"}, timeout=1)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sqlite.SQLite, "give_time", interrupted)
        with pytest.raises(KeyboardInterrupt) as caught:
            store.counts(START)
    assert store.counts(START).live == 0
    assert caught.tb  # until here it keeps the lease from being collected as garbage
    store.close()


class TestAFileThatIsLockedAtItsFirstConnection:
    def test_is_waited_for(self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(sqlite, "sleep", lambda _: other.rollback())
            store = sql_store(sqlite_url, create_table=False)
            with pytest.raises(StoreError, match="no table sessions"):
                store.load("id-a", START)
        store.engine.dispose()

    def test_is_given_up_in_time(self, sqlite_url: str) -> None:
        store = sql_store(sqlite_url, create_table=False, timeout=1)
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match="locked"):
                store.load("id-a", START)
        store.engine.dispose()


@pytest.mark.parametrize("statement", ["load", "lock"])
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def test_another_rows_answer_opens_nothing_and_is_the_last_of_its_connection(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, statement: str
) -> None:
    """As from a connection that two processes share, or after an answer that was not read."""
    store = sql_store(request.getfixturevalue(f"{kind}_url"))
    store.create(record("a"))
    store.create(record("b"))
    run = getattr(store._statements, statement).run
    used: list[Any] = []
    changed: list[Record] = []

    def mix_up(connection: Any, values: Any) -> Any:
        used.append(connection)
        return run(connection, values | {"record_id": "id-b"})

    monkeypatch.setattr(getattr(store._statements, statement), "run", mix_up)
    calls: dict[str, Callable[[], object]] = {
        "load": lambda: store.load("id-a", START),
        "lock": lambda: store.update("id-a", START, changed.append),
    }
    with pytest.raises(StoreError, match="another statement's answer"):
        calls[statement]()
    monkeypatch.undo()
    with store._connection("id-a") as connection:
        assert connection is not used[0]
    assert changed == []
    assert store.load("id-a", START) == record("a")
    assert store.load("id-b", START) == record("b")
    store.close()
