"""Parallel requests of one visitor lose nothing: keys, visits, messages, counts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Site
from tests.races.gates import GateKeeper
from tests.races.processes import processes
from tests.races.updates import (
    lost_increments,
    lost_keys,
    lost_messages,
    lost_visits,
    wrongly_popped,
)


@pytest.fixture(scope="module")
def the_site(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    with processes(directory, keeper, postgres.create_database("site"), "site") as site:
        yield site


class TestOnPostgreSQL:
    def test_every_parallel_request_keeps_its_key(self, on_postgresql: Site) -> None:
        assert lost_keys(on_postgresql) == 0

    def test_every_parallel_visit_is_in_the_history(self, the_site: Site) -> None:
        assert lost_visits(the_site, lambda number: f"/?visit={number}") == 0

    def test_as_many_visits_to_one_url_are_as_many(self, the_site: Site) -> None:
        assert lost_visits(the_site, lambda number: "/about") == 0

    def test_every_message_queued_in_parallel_is_shown_once(self, on_postgresql: Site) -> None:
        assert lost_messages(on_postgresql) == 0

    def test_messages_popped_in_parallel_are_shown_and_then_gone(self, on_postgresql: Site) -> None:
        assert wrongly_popped(on_postgresql) == 0

    def test_transact_counts_every_increment(self, on_postgresql: Site) -> None:
        assert lost_increments(on_postgresql) == 0


@pytest.mark.all
def test_no_update_is_lost_on_a_store_of_ones_own(on_lmdb: Site) -> None:
    assert lost_keys(on_lmdb, rounds=5) == 0
    assert lost_messages(on_lmdb, rounds=3) == 0
    assert wrongly_popped(on_lmdb, rounds=5) == 0
    assert lost_increments(on_lmdb, clients=20) == 0


class TestOnSQLite:
    def test_every_parallel_request_keeps_its_key(self, on_sqlite: Site) -> None:
        assert lost_keys(on_sqlite, rounds=5) == 0

    def test_every_message_queued_in_parallel_is_shown_once(self, on_sqlite: Site) -> None:
        assert lost_messages(on_sqlite, rounds=3) == 0

    def test_transact_counts_every_increment(self, on_sqlite: Site) -> None:
        assert lost_increments(on_sqlite, clients=10) == 0


class TestNaiveStores:
    def test_a_store_where_the_last_writer_wins_is_found(self, naive: Callable[..., Site]) -> None:
        site = naive("LastWriterWinsStore")
        assert lost_keys(site, rounds=2) > 0
        assert lost_messages(site, rounds=2) > 0
        assert wrongly_popped(site) > 0

    def test_and_loses_visits(self, naive: Callable[..., Site]) -> None:
        assert lost_visits(naive("LastWriterWinsStore", "site"), lambda number: f"/?{number}") > 0

    def test_a_store_without_a_lock_is_found(self, naive: Callable[..., Site]) -> None:
        site = naive("NoLockStore")
        assert lost_keys(site, rounds=2) > 0
        assert lost_increments(site, clients=20, increments=5) > 0
