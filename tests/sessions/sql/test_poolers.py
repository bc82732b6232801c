"""Behind PgBouncer, in both modes, with no setting that says so."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sessionsite.sessions.sql import SQLAlchemyStore, diagnose, prepared
from sessionsite.sessions.sql.libpq import StoreConnection
from sessionsite.sessions.store import StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.pgbouncer import keeps_prepared_statements, start_pgbouncer
from tests.harness.postgres import Postgres
from tests.harness.skipping import started
from tests.harness.stores import sql_store

VISITORS = 6
Through = Callable[..., SQLAlchemyStore]
MODES = [("session", 0), ("transaction", 0)]
if keeps_prepared_statements():
    MODES += [("session", 10), ("transaction", 10)]


@pytest.fixture(params=MODES, ids=lambda mode: f"{mode[0]}-{mode[1]}")
def mode(request: pytest.FixtureRequest) -> tuple[str, int]:
    """What a connection of the pooler's is lent for, and how many statements are kept on it."""
    mode: tuple[str, int] = request.param
    return mode


@pytest.fixture
def through(
    postgres: Postgres, postgres_url: str, mode: tuple[str, int], tmp_path: Path
) -> Iterator[Through]:
    """A store on the other side of a pooler with `size` connections."""
    stores = []
    poolers = []

    def make(size: int = VISITORS, query: str = "") -> SQLAlchemyStore:
        pool_mode, kept = mode
        options = {"mode": pool_mode, "prepared": kept, "size": size}
        pooler = started(start_pgbouncer, tmp_path, postgres, **options)
        poolers.append(pooler)
        url = postgres_url.replace(f":{postgres.port}/", f":{pooler.port}/")
        stores.append(sql_store(f"{url}{query}", engine={"pool_size": str(VISITORS)}))
        return stores[-1]

    yield make
    for store in stores:
        store.close()
    for pooler in poolers:
        pooler.__exit__(None, None, None)


def visit(store: SQLAlchemyStore, number: int) -> None:
    store.create(record(str(number), payload="[]"))
    for turn in range(20):
        found = store.load(f"id-{number}", START)
        assert found is not None
        assert store.save(replace(found, payload=f"[{turn}]"), found.version, START)
        store.update(f"id-{number}", START, lambda newest: replace(newest, label=str(number)))
    found = store.load(f"id-{number}", START)
    assert found is not None
    assert (found.payload, found.label) == ("[19]", str(number))


def test_all_is_as_without_it_and_that_is_said_once(
    through: Through, caplog: pytest.LogCaptureFixture
) -> None:
    store = through()
    in_parallel(VISITORS, lambda number: visit(store, number))
    with store.sweeping() as ours:
        assert ours
        assert store.prune(START, 10) == 0
    said = [r for r in caplog.records if "A pooler stands between" in r.getMessage()]
    assert [r.levelno for r in said] == [logging.WARNING]
    assert "?prepare_threshold=none" in said[0].getMessage()


def test_doctor_names_it_unless_the_url_does(through: Through) -> None:
    (fault,) = diagnose(through())
    assert "a pooler stands between" in fault.text
    assert list(diagnose(through(query="?prepare_threshold=none"))) == []


class TestOneThatHidesItself:
    """Another product may hand the server's own process id on: then the first failure tells."""

    @pytest.fixture
    def mode(self) -> tuple[str, int]:
        return "transaction", 0

    @pytest.fixture
    def store(self, through: Through, monkeypatch: pytest.MonkeyPatch) -> SQLAlchemyStore:
        def prepare(connection: StoreConnection, limits: Any) -> None:
            connection.limits = connection.request_limits = limits
            connection.limit(limits)

        monkeypatch.setattr(StoreConnection, "prepare", prepare)
        return through(size=2)

    def test_a_statement_that_it_has_lost_is_run_unprepared(
        self, store: SQLAlchemyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        in_parallel(VISITORS, lambda number: visit(store, number))
        said = [r.getMessage() for r in caplog.records if "A pooler stands" in r.getMessage()]
        assert len(said) == 1
        assert "prepared statement" in said[0]

    def test_in_a_transaction_all_of_it_is_done_again(self, store: SQLAlchemyStore) -> None:
        store.create(record(payload="[]"))
        with store._connection("id-x") as connection:
            name = store._statements.lock._name  # type: ignore[attr-defined]
            connection.prepared.add(name)  # as if it were there
        changed = store.update("id-a", START, lambda newest: replace(newest, payload="[1]"))
        assert changed == record(payload="[1]", version=2)


def test_statements_of_another_table_have_other_names() -> None:
    """A pooler's connections are shared by all that connect as one user."""
    tables = [sa.table(name, sa.column("id")) for name in ("sessions", "others", "sessions")]
    names = {prepared.PostgreSQLStatement("load", sa.select(table))._name for table in tables}
    assert len(names) == 2


def test_one_in_statement_mode_is_refused(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    sql_store(postgres_url).close()
    with started(start_pgbouncer, tmp_path, postgres, mode="statement") as pooler:
        url = postgres_url.replace(f":{postgres.port}/", f":{pooler.port}/")
        store = sql_store(url, create_table=False)
        with pytest.raises(StoreError, match="statement pooling mode"):
            store.create(record())
        store.close()
