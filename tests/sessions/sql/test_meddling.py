"""What an operator puts on the table: triggers, rules, policies, other types, further indexes.

Either the store's promises hold all the same, or the error says what is in the way.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sessionsite.sessions.payload import dumps, loads
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.settings import server_settings
from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.diagnosis import diagnose
from sessionsite.sessions.store import RecordExistsError, StoreError
from sessionsite.testing import START, record
from tests.harness.refusals import SECRET
from tests.harness.stores import sql_store
from tests.harness.visitor import Visitor

SILENT = "the database has left the row as it was, and reports no error: look for a trigger"


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.servers), "sqlite"])
def store(request: pytest.FixtureRequest) -> Iterator[SQLAlchemyStore]:
    store = sql_store(request.getfixturevalue(f"{request.param}_url"))
    yield store
    store.close()


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(postgres_url)
    yield store
    store.close()


def run(store: SQLAlchemyStore, *statements: str) -> None:
    with store.engine.connect() as connection:  # in AUTOCOMMIT mode
        for statement in statements:
            connection.exec_driver_sql(statement)


def skip(store: SQLAlchemyStore, event: str) -> None:
    """Have a trigger skip what `event` does to a row: no error, and no row is written."""
    if store.engine.dialect.name == "sqlite":
        body = f"CREATE TRIGGER skip BEFORE {event} ON sessions BEGIN SELECT raise(IGNORE); END"
        run(store, body)
        return
    run(
        store,
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f"CREATE TRIGGER skip BEFORE {event} ON sessions FOR EACH ROW EXECUTE FUNCTION skip()",
    )


def change(store: SQLAlchemyStore) -> Any:
    return store.update("id-a", START, lambda newest: replace(newest, payload='{"n": 2}'))


def test_a_row_that_is_not_inserted_is_not_created(store: SQLAlchemyStore) -> None:
    skip(store, "INSERT")
    with pytest.raises(StoreError, match=SILENT):
        store.create(record())


def test_a_row_that_is_not_updated_is_not_changed(store: SQLAlchemyStore) -> None:
    store.create(record())
    skip(store, "UPDATE")
    assert not store.save(record(payload='{"n": 2}'), 1, START)
    with pytest.raises(StoreError, match=SILENT):
        change(store)
    assert store.load("id-a", START) == record()


def test_a_session_that_is_not_deleted_has_not_ended(store: SQLAlchemyStore) -> None:
    store.create(record())
    skip(store, "DELETE")
    with pytest.raises(StoreError, match=SILENT):
        store.delete("id-a")
    with pytest.raises(StoreError, match=SILENT):
        store.update("id-a", START, lambda newest: None)
    assert store.delete("id-b") is False


def test_saves_that_find_no_row_are_no_sign_that_writes_work(
    store: SQLAlchemyStore, caplog: pytest.LogCaptureFixture
) -> None:
    settings = server_settings({"session.secret": SECRET, "session.sqlalchemy.url": "x"})
    factory = ServerSessionFactory(store, settings)
    visitor = Visitor(factory)
    with visitor.request() as session:
        session["n"] = 1
    skip(store, "UPDATE")
    for number in range(2, 5):
        request = visitor.open()
        request.session["n"] = number
        with pytest.raises(StoreError, match=SILENT):
            request.session.save()
        assert factory.availability.away
    assert [line for line in caplog.messages if "back after" in line] == []


def test_a_value_that_is_taken_is_no_id_that_is_taken(store: SQLAlchemyStore) -> None:
    """That error would be the app's, and its page no 503."""
    run(store, "CREATE UNIQUE INDEX one_per_owner ON sessions (owner)")
    store.create(record("a", owner="user:1"))
    store.create(record("b", owner="user:2"))
    with pytest.raises(StoreError, match="owner"):
        store.create(record("c", owner="user:1"))
    with pytest.raises(StoreError, match="owner"):
        store.update("id-b", START, lambda newest: replace(newest, owner="user:1"))
    with pytest.raises(RecordExistsError):
        store.create(record("a", owner="user:3"))


@pytest.mark.parametrize(("event", "name"), [("INSERT", "insert"), ("UPDATE", "update")])
def test_doctor_sees_what_is_skipped(store: SQLAlchemyStore, event: str, name: str) -> None:
    skip(store, event)
    texts = [fault.text for fault in diagnose(store)]
    assert any(text.startswith(f"a session's {name} ") for text in texts), texts


@pytest.mark.servers
class TestOnPostgreSQL:
    def test_a_rule_that_does_nothing_is_found_out(self, on_postgres: SQLAlchemyStore) -> None:
        """PostgreSQL goes on to do nothing after the rule's end, where that was prepared before."""
        on_postgres.create(record())
        change(on_postgres)
        run(on_postgres, "CREATE RULE r AS ON UPDATE TO sessions DO INSTEAD NOTHING")
        with pytest.raises(StoreError, match=SILENT):
            change(on_postgres)
        run(on_postgres, "DROP RULE r ON sessions")
        assert change(on_postgres).version == 3

    def test_a_trigger_may_put_rows_into_a_child_of_the_table(
        self, on_postgres: SQLAlchemyStore
    ) -> None:
        """As partitions were made before PostgreSQL 10."""
        run(
            on_postgres,
            "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (sessions)",
            "CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO child VALUES (NEW.*); RETURN NULL; END'",
            "CREATE TRIGGER t BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION turn()",
        )
        on_postgres.create(record())
        assert change(on_postgres).version == 2
        assert on_postgres.delete("id-a")

    @pytest.mark.parametrize(
        ("column", "type_"),
        [
            ("payload", "jsonb"),
            ("payload", "text"),
            ("owner", "varchar(100)"),
            ("version", "bigint"),
        ],
    )
    @pytest.mark.parametrize("query", ["", "?prepare_threshold=none"], ids=["own", "pooled"])
    def test_a_column_may_get_another_type_while_the_site_runs(
        self, postgres_url: str, column: str, type_: str, query: str
    ) -> None:
        """PostgreSQL refuses what was prepared for the type before, once per connection."""
        store = sql_store(f"{postgres_url}{query}")
        store.create(record())
        store.load("id-a", START)
        change(store)
        run(store, f"ALTER TABLE sessions ALTER {column} TYPE {type_}")
        loaded = store.load("id-a", START)
        assert loaded is not None
        assert (json.loads(loaded.payload), loaded.version) == ({"n": 2}, 2)
        assert change(store).version == 3
        assert store.save(record(payload="{}"), 3, START)
        store.close()

    def test_a_session_in_jsonb_is_not_written_when_it_is_read(
        self, on_postgres: SQLAlchemyStore
    ) -> None:
        run(on_postgres, "ALTER TABLE sessions ALTER payload TYPE jsonb")
        data = {"long": [1, 2.5, "\u00e4"], "b": {"c": None}, "a": True}
        on_postgres.create(record(payload=dumps(data)))
        loaded = on_postgres.load("id-a", START)
        assert loaded is not None
        assert loads(loaded.payload) == data
        assert loaded.payload == dumps(loads(loaded.payload))

    def test_a_time_without_zone_is_named_with_what_to_do(
        self, on_postgres: SQLAlchemyStore
    ) -> None:
        """Its row makes no record, but no visitor is to be logged out for that."""
        on_postgres.create(record())
        run(on_postgres, "ALTER TABLE sessions ALTER seen_at TYPE timestamp")
        with pytest.raises(StoreError, match="TYPE timestamptz"):
            on_postgres.load("id-a", START)
        run(on_postgres, "ALTER TABLE sessions ALTER seen_at TYPE timestamptz")
        assert on_postgres.load("id-a", START) is not None
