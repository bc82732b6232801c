"""Ended is ended: no request in flight brings a session back, or tells the browser anything."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.races.clients import Site
from tests.races.endings import (
    BATCH,
    WAYS,
    begin,
    end,
    revivals,
    revivals_in_a_draw,
)


def test_a_thousand_sessions_end_and_none_is_revived(on_postgresql: Site) -> None:
    assert revivals(on_postgresql) == Counter()


def test_nor_where_the_logout_is_not_the_first_to_go_on(on_postgresql: Site) -> None:
    assert revivals_in_a_draw(on_postgresql) == Counter()


def test_nor_on_sqlite(on_sqlite: Site) -> None:
    assert revivals(on_sqlite, 2 * BATCH) == Counter()


@pytest.mark.all
def test_nor_on_a_store_of_ones_own(on_lmdb: Site) -> None:
    assert revivals(on_lmdb, races=100) == Counter()
    assert revivals_in_a_draw(on_lmdb, races=100) == Counter()


def test_the_secret_of_a_session_that_has_ended_opens_nothing(on_postgresql: Site) -> None:
    with on_postgresql.crowd(2) as crowd:
        for way in WAYS:
            (visitor,) = begin(crowd, 1)
            gate = on_postgresql.gate(1, held=True)
            writer = crowd.start("/set", visitor[0], loaded=gate, written="x")
            gate.wait_until_full()
            end(on_postgresql, crowd, visitor, way)
            gate.open()
            assert writer.result().status == 200
            seen = crowd.get("/read", visitor[0]).json
            assert (seen["data"], seen["new"]) == ({}, True)
            assert seen["id"] != visitor[1]


def test_a_store_that_upserts_is_found(naive: Callable[..., Site]) -> None:
    assert revivals(naive("UpsertStore"), 2 * BATCH)["revived"] > 0
