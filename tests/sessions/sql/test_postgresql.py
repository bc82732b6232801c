"""PostgreSQL's side of the store: values on the wire, prepared statements, errors."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.libpq import NoAnswerError
from sessionsite.sessions.sql.prepared import PostgreSQLStatement
from sessionsite.sessions.sql.values import UTCDateTime
from sessionsite.sessions.store import MalformedRecordError, StoreError
from sessionsite.testing import START, record
from tests import ROOT
from tests.harness.stores import sql_store


@pytest.fixture
def store(postgres_url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(postgres_url)
    yield store
    store.engine.dispose()


def query(store: SQLAlchemyStore, statement: str) -> Any:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None


def prepared(store: SQLAlchemyStore) -> list[str]:
    """The names of the statements that are prepared on the connection that the store uses."""
    with store._connection("id-a") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_prepared_statements")
        return [name.rpartition("_")[0] for (name,) in cursor.fetchall()]


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)


def test_a_time_of_any_zone_comes_back_as_the_same_instant_in_utc(store: SQLAlchemyStore) -> None:
    statement = PostgreSQLStatement("time", sa.select(sa.bindparam("moment", type_=UTCDateTime)))
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection

        @given(TIMES)
        def comes_back(moment: datetime) -> None:
            rows, _ = statement.run(connection, {"moment": moment})
            ((read,),) = rows
            assert read == moment
            assert read.tzinfo is UTC

        comes_back()


def test_postgresql_reads_what_is_sent_as_psycopg_would_send_it(store: SQLAlchemyStore) -> None:
    moment = datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    values: dict[str, tuple[Any, Any]] = {
        "moment": (moment, UTCDateTime),
        "number": (-7, sa.Integer),
        "text": ("ünï", sa.Text),
        "blob": (b"\x00\xff", sa.LargeBinary),
        "truth": (True, sa.Boolean),
        "nothing": (None, sa.Text),
    }
    columns = [sa.bindparam(name, type_=kind) for name, (_, kind) in values.items()]
    statement = PostgreSQLStatement("echo", sa.select(*columns))
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        rows, count = statement.run(connection, {k: value for k, (value, _) in values.items()})
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT %s::timestamptz, %s::int, %s::text, %s::bytea, %s::bool, %s::text",
                [value for value, _ in values.values()],
            )
            by_psycopg = cursor.fetchone()
    assert (rows, count) == ([by_psycopg], 1)


def test_a_statement_is_prepared_once_per_connection(store: SQLAlchemyStore) -> None:
    store.create(record())
    for _ in range(3):
        store.load("id-a", START)
    assert prepared(store).count("sessionsite_load") == 1


def test_behind_a_transaction_pooler_none_is_prepared(postgres_url: str) -> None:
    store = sql_store(f"{postgres_url}?prepare_threshold=none")
    store.create(record())
    assert store.save(record(payload='{"n": 1}'), 1, START)
    assert store.load("id-a", START) == record(payload='{"n": 1}', version=2)
    assert prepared(store) == []
    store.engine.dispose()


def test_a_column_added_while_the_site_runs_disturbs_nobody(store: SQLAlchemyStore) -> None:
    store.create(record())
    store.load("id-a", START)
    query(store, "ALTER TABLE sessions ADD COLUMN note text")
    assert store.load("id-a", START) == record()


def test_the_servers_error_is_the_drivers_with_its_sqlstate(store: SQLAlchemyStore) -> None:
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        for statement in ("SELECT 1/0", "SELECT * FROM nothing"):
            with pytest.raises((psycopg.errors.DivisionByZero, psycopg.errors.UndefinedTable)):
                PostgreSQLStatement("wrong", sa.text(statement)).run(connection, {})


def test_an_error_of_no_known_sqlstate_is_a_database_error(store: SQLAlchemyStore) -> None:
    raising = b"DO $$ BEGIN RAISE 'odd' USING ERRCODE = 'ZZ999'; END $$"
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        connection.pgconn.send_query(raising)
        with pytest.raises(psycopg.DatabaseError, match="odd"):
            connection.answer()


def test_an_answer_that_never_comes_is_a_lost_connection(store: SQLAlchemyStore) -> None:
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        with pytest.raises(psycopg.OperationalError, match="the connection is lost"):
            connection.answer()  # nothing was sent, so libpq has nothing to wait for


def test_psycopgs_own_statements_are_given_up_in_time_too(store: SQLAlchemyStore) -> None:
    with closing(store.engine.raw_connection()) as pooled:
        connection: Any = pooled.dbapi_connection
        connection.limits = replace(connection.limits, answer=0.2)
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 seconds"):
            connection.execute("SELECT pg_sleep(60)")
        pooled.invalidate()


def test_a_create_that_arrived_though_its_answer_was_lost_is_done(
    store: SQLAlchemyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = store._statements.create
    run = statement.run

    def lose_the_answer(connection: Any, values: Any) -> None:
        monkeypatch.undo()
        run(connection, values)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(statement, "run", lose_the_answer)
    store.create(record())
    assert store.load("id-a", START) == record()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET seen_at = 'infinity'",
        "UPDATE sessions SET created_at = '0044-03-15 12:00 BC'",
        "ALTER TABLE sessions ALTER version TYPE text",
    ],
)
def test_a_row_that_is_no_record_is_named(store: SQLAlchemyStore, change: str) -> None:
    store.create(record())
    query(store, change)
    with pytest.raises(MalformedRecordError, match="id-a"):
        store.load("id-a", START)


def test_text_is_utf8_whatever_the_environment_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    store = sql_store(postgres_url)
    store.create(record())
    query(store, """UPDATE sessions SET payload = '{"by hand": "é"}'""")
    loaded = store.load("id-a", START)
    assert loaded is not None
    assert loaded.payload == '{"by hand": "é"}'
    store.engine.dispose()


def test_a_missing_table_is_named_with_what_to_do(postgres_url: str) -> None:
    store = sql_store(postgres_url, create_table=False)
    with pytest.raises(StoreError, match="sessionsite init-db"):
        store.load("id-a", START)
    store.engine.dispose()


class Interruption(BaseException):
    pass


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise `Interruption` in the middle of what goes on then."""

    def interrupt(_number: int, _frame: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_statement_that_was_interrupted_leaves_no_connection_behind(
    store: SQLAlchemyStore,
) -> None:
    """Its answer would be taken for the next statement's."""

    def sleep() -> None:
        with store._connection("id-a") as connection:
            PostgreSQLStatement("sleep", sa.text("SELECT pg_sleep(20)")).run(connection, {})

    store.create(record())
    with pytest.raises(Interruption), interrupted_after(0.2):
        sleep()
    assert store.save(record(payload='{"n": 1}'), 1, START)


def test_a_transaction_that_was_interrupted_ends_and_says_nothing_else(
    store: SQLAlchemyStore,
) -> None:
    store.create(record())
    with store._connection("id-a") as holder, store._transaction(holder):
        store._statements.lock.run(holder, {"record_id": "id-a", "now": START})
        with pytest.raises(Interruption), interrupted_after(0.2):
            store.update("id-a", START, lambda newest: newest)  # waits for the lock
    assert store.update("id-a", START, lambda newest: newest) == record()


def test_a_payload_larger_than_a_socket_takes_at_once(store: SQLAlchemyStore) -> None:
    text = json.dumps({"large": "x" * 20_000_000})
    store.create(record(payload=text))
    loaded = store.load("id-a", START)
    assert loaded is not None
    assert loaded.payload == text


WITHOUT_POLL = """
import select, sys
from concurrent.futures import ThreadPoolExecutor
del select.poll
from sessionsite.sessions import StoreError
from sessionsite.testing import START, record
from tests import ROOT
from tests.harness.stores import sql_store

text = '{"large": "' + "x" * 20_000_000 + '"}'
store = sql_store(sys.argv[1], timeout=2)
store.create(record())
assert store.save(record(payload=text), 1, START)
with ThreadPoolExecutor(4) as threads:
    loaded = list(threads.map(lambda _: store.load("id-a", START).payload, range(8)))
assert loaded == [text] * 8

def locked(newest):
    try:
        store.update("id-a", START, lambda newest: None)
    except StoreError as exc:
        print(exc)
    return None

assert store.update("id-a", START, locked) is None
assert store.load("id-a", START) is None
store.close()
"""


def test_it_works_where_python_has_no_poll(postgres_url: str) -> None:
    """On Windows, and in a process that eventlet has patched."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POLL, postgres_url],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("canceling statement due to lock timeout\n", "")


def test_poll_may_go_while_the_site_runs(
    store: SQLAlchemyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As eventlet takes it away."""
    store.create(record())
    monkeypatch.delattr("select.poll")
    assert store.load("id-a", START) == record()  # by a connection that was there
    store.close()
    assert [store.load("id-a", START) for _ in range(2)] == [record()] * 2
    store.save(record(payload=json.dumps({"large": "x" * 20_000_000})), 1, START)
