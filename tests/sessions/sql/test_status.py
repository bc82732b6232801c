"""The table beside the sessions: the health check's row, and that of the last pruning."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from sessionsite.sessions import StoreError, Sweep
from sessionsite.sessions.sql import SQLAlchemyStore, status_table
from sessionsite.testing import START, in_parallel
from tests.harness.stores import sql_store


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def store(url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(url, timeout=1)
    yield store
    store.close()


def run(store: SQLAlchemyStore, statement: str) -> Any:
    with store.engine.connect() as connection:
        result = connection.exec_driver_sql(statement)
        return result.fetchall() if result.returns_rows else None


def test_the_health_check_writes_a_row_of_its_own(store: SQLAlchemyStore) -> None:
    for _ in range(2):
        store.try_write(START)
    assert run(store, "SELECT name FROM sessions_status") == [("ping",)]
    assert run(store, "SELECT * FROM sessions") == []


def test_so_do_many_at_once(store: SQLAlchemyStore) -> None:
    in_parallel(8, lambda _: store.try_write(START))
    assert run(store, "SELECT name FROM sessions_status") == [("ping",)]


def test_what_was_pruned_last_is_known_to_all(store: SQLAlchemyStore, url: str) -> None:
    assert store.last_sweep() is None
    for rows in (3, 2**40):
        sweep = Sweep(START + timedelta(seconds=rows % 7), rows, 0.25)
        store.note_sweep(sweep)
        other = sql_store(url, create_table=False)
        assert other.last_sweep() == sweep
        other.close()


def test_without_the_table_the_store_is_asked_in_another_way(store: SQLAlchemyStore) -> None:
    """The table is of the version before, or an app's own migrations have made it."""
    run(store, "DROP TABLE sessions_status")
    store.try_write(START)
    store.note_sweep(Sweep(START, 1, 0.1))
    assert store.last_sweep() is None
    run(store, "DROP TABLE sessions_version")
    assert store.remark() is None  # all that requests need is there
    run(store, "DROP TABLE sessions")
    with pytest.raises(StoreError, match="init-db"):
        store.try_write(START)


def test_where_nothing_can_be_written_that_is_said(store: SQLAlchemyStore, url: str) -> None:
    """And not taken for a table that is not there."""
    if url.startswith("sqlite"):
        run(store, "CREATE TRIGGER no BEFORE INSERT ON sessions_status "
                   "BEGIN SELECT raise(ABORT, 'no room'); END")  # fmt: skip
    else:
        run(store, "ALTER TABLE sessions_status ADD CONSTRAINT room CHECK (name = 'no room')")
    with pytest.raises(StoreError, match="room"):
        store.try_write(START)
    with pytest.raises(StoreError, match="room"):
        store.note_sweep(Sweep(START, 1, 0.1))


def test_a_store_that_is_away_has_no_pruning_to_tell_of(
    store: SQLAlchemyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise StoreError("no answer")

    monkeypatch.setattr(store, "_fetch", fail)
    with pytest.raises(StoreError, match="no answer"):
        store.last_sweep()


def test_the_table_can_be_described_for_an_apps_own_migrations() -> None:
    metadata = sa.MetaData()
    assert status_table("web", "s", metadata).fullname == "s.web_status"
    assert list(metadata.tables) == ["s.web_status"]
