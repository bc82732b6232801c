"""Whatever the defaults of the database are, the store's promises hold."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from time import sleep
from typing import Any

import psycopg
import pytest
from psycopg.pq import Conninfo

from sessionsite.sessions import Record
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.settings import server_settings
from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.connections import ConflictError
from sessionsite.sessions.sql.postgresql import connection_parameters
from sessionsite.sessions.sql.session_settings import Limits, needed
from sessionsite.testing import START, StoreContract, in_parallel, record
from tests.harness.hostile import ISOLATION, hostile_database
from tests.harness.postgres import Postgres
from tests.harness.refusals import SECRET
from tests.harness.stores import sql_store
from tests.harness.visitor import Visitor

PARALLEL = 16
# As it is, and as behind a pooler that hands each transaction to another connection.
both = pytest.mark.parametrize("query", ["", "?prepare_threshold=none"], ids=["own", "pooled"])


@pytest.fixture(scope="module", params=ISOLATION)
def database(request: pytest.FixtureRequest, postgres: Postgres) -> str:
    return hostile_database(postgres, request.param)


def emptied(url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(url)
    while store.prune(START + timedelta(days=99999), 1000):
        pass
    store.delete("id-a")
    yield store
    store.close()


@pytest.fixture
def store(database: str, query: str) -> Iterator[SQLAlchemyStore]:
    yield from emptied(f"{database}{query}")


def test_the_defaults_are_hostile(postgres: Postgres, database: str) -> None:
    with postgres.connect(database) as other:
        assert other.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            other.execute("SELECT pg_sleep(1)")


@both
def test_parallel_changes_of_one_visitor_all_count(query: str, store: SQLAlchemyStore) -> None:
    factory = ServerSessionFactory(
        store, server_settings({"session.secret": SECRET, "session.sqlalchemy.url": "x"})
    )
    visitor = Visitor(factory)
    with visitor.request() as session:
        session.update(n=0, seen=[])

    def append(number: int) -> None:
        other = Visitor(factory)
        other.cookies = dict(visitor.cookies)
        request = other.open()
        if number % 2:
            request.session["seen"].append(number)
        else:
            request.session.transact(lambda s: s.update(n=s["n"] + 1))
        other.close(request)

    in_parallel(PARALLEL, append)
    with visitor.request() as session:
        assert session["n"] == PARALLEL // 2
        assert sorted(session["seen"]) == list(range(1, PARALLEL, 2))


@both
def test_a_lock_is_waited_for_as_long_as_the_store_says(query: str, store: SQLAlchemyStore) -> None:
    store.create(record(payload="[]"))

    def append(newest: Record) -> Record:
        if newest.payload == "[]":
            sleep(0.3)  # longer than the server's defaults let a statement wait
        return replace(newest, payload=newest.payload.replace("]", ",1]").replace("[,", "["))

    in_parallel(8, lambda n: store.update("id-a", START, append))
    stored = store.load("id-a", START)
    assert stored is not None
    assert stored.payload.count("1") == 8


@pytest.mark.all
@both
class TestContract(StoreContract):
    """The whole contract of a store."""

    # Their own statements, on the store's engine, would have to be as careful.
    test_every_failure_is_a_store_error: Any = None
    test_a_row_that_makes_no_record_is_not_in_the_pruners_way: Any = None
    test_a_row_that_makes_no_record_says_so: Any = None

    @pytest.fixture
    def store(self, database: str, query: str) -> Iterator[Any]:
        self.url = f"{database}{query}"
        for store in emptied(self.url):
            with store.engine.connect() as connection:
                connection.exec_driver_sql("BEGIN READ WRITE")
                connection.exec_driver_sql("DELETE FROM sessions")
                connection.exec_driver_sql("COMMIT")
            yield store

    def second_store(self, store: Any) -> Any:
        return sql_store(self.url, create_table=False)


def test_settings_are_those_that_the_server_knows() -> None:
    limits = Limits.of_requests(5, 60)
    assert "idle_session_timeout" not in needed(limits, 130000)
    assert "transaction_timeout" not in needed(limits, 160000)
    assert needed(limits, 170000)["transaction_timeout"] == "0"


@pytest.mark.parametrize("seconds", [1, 5, 3600])
def test_the_servers_limits_are_below_the_clients_and_that_below_the_setting(seconds: int) -> None:
    limits = Limits.of_requests(seconds, 60)
    in_server = [int(needed(limits, 170000)[name]) / 1000 for name in (
        "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"
    )]  # fmt: skip
    assert 0 < in_server[0] < in_server[1] < limits.answer < seconds
    assert in_server[2] < seconds
    assert limits.of_long_work().answer > limits.of_long_work().statement >= 60


class TestAConflict:
    """An error that another isolation level gives in place of a wait."""

    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[SQLAlchemyStore]:
        store = sql_store(postgres_url)
        store.create(record())
        yield store
        store.close()

    def trigger(self, store: SQLAlchemyStore, name: str) -> None:
        """Have each UPDATE fail as in a conflict."""
        with store.engine.connect() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE {name}; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER fail BEFORE UPDATE ON sessions EXECUTE FUNCTION fail()"
            )

    @pytest.mark.parametrize("name", ["serialization_failure", "deadlock_detected"])
    def test_of_a_save_is_that_of_versions(self, store: SQLAlchemyStore, name: str) -> None:
        self.trigger(store, name)
        assert store.save(record(payload='{"n": 1}'), 1, START) is False
        assert store.load("id-a", START) == record()

    def test_of_an_update_is_tried_again_and_not_for_ever(self, store: SQLAlchemyStore) -> None:
        self.trigger(store, "serialization_failure")
        calls: list[Record] = []

        def change(newest: Record) -> Record:
            calls.append(newest)
            return replace(newest, payload='{"n": 1}')

        with pytest.raises(ConflictError):
            store.update("id-a", START, change)
        assert len(calls) == 5
        assert store.load("id-a", START) == record()


URLS = [
    "postgresql://",
    "postgresql:///site",
    "postgresql://u@%2Fvar%2Frun%2Fpostgresql:5433/db",
    "postgresql://u@%2Fa,%2Fb:2/db",
    "postgresql:///db?host=/var/run/postgresql&port=5433",
    "postgresql://u@[::1]:1,[::1]:2/db",
    "postgresql://u@127.0.0.1:2,[::1]:1/db",
    "postgresql://u@[fe80::1%25eth0]:5432/db",
    "postgresql://u@a,b,c:3/db?target_session_attrs=read-write&load_balance_hosts=random",
    "postgresql://u%40x:p%3A%2F%3F%23%5B%5D%40%25@h/d%2Fb",
    "postgresql://u:@h:/",
    "postgresql://h?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&channel_binding=require",
    "postgresql://h/db?options=-c%20geqo%3Doff%20-c%20search_path%3Da",
    "postgresql://h/db?service=site&passfile=/etc/pass",
    "postgresql://h/db?hostaddr=10.0.0.1&user=other&password=word&dbname=third",
    "postgresql://h?ssl=true",
    "postgresql://:5433/db",
]


@pytest.mark.parametrize("scheme", ["postgresql://", "postgres://", "postgresql+psycopg://"])
@pytest.mark.parametrize("url", URLS)
def test_a_url_means_what_libpq_says_it_means(url: str, scheme: str) -> None:
    meant = {
        option.keyword.decode(): option.val.decode()
        for option in Conninfo.parse(url.encode())
        if option.val is not None
    }
    assert connection_parameters(url.replace("postgresql://", scheme)) == meant
    own = f"{url}{'&' if '?' in url else '?'}prepare_threshold=none"
    assert connection_parameters(own) == meant | {"prepare_threshold": None}
