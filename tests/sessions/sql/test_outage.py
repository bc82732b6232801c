"""While the store is away, one request at a time asks for it, and the others fail at once."""

import pytest

from sessionsite.sessions.outage import Outage
from sessionsite.sessions.store import StoreError
from sessionsite.testing import START, in_parallel, record
from tests.harness.postgres import Postgres
from tests.harness.stores import sql_store


def test_while_all_is_well_nobody_waits_for_anybody() -> None:
    outage = Outage()
    assert [outage.enter(), outage.enter()] == [False, False]


def test_while_one_asks_the_others_fail_at_once() -> None:
    outage = Outage()
    outage.begin("no answer")
    asks = outage.enter()
    for _ in range(2):
        with pytest.raises(StoreError, match="no answer"):
            outage.enter()
    outage.end()
    outage.leave(asks)
    assert [outage.enter(), outage.enter()] == [False, False]


def test_the_next_one_asks_again() -> None:
    outage = Outage()
    outage.begin("no answer")
    for _ in range(2):
        asks = outage.enter()
        assert asks
        outage.leave(asks)


def test_a_server_that_is_stopped_is_asked_by_one_thread_at_a_time(
    stoppable_postgres: Postgres,
) -> None:
    store = sql_store(stoppable_postgres.create_database("outage"), timeout=2)
    store.create(record())
    stoppable_postgres.pause()
    for _ in range(2):  # by the connection that stands, and by a new one
        with pytest.raises(StoreError):
            store.load(b"key-a", START)

    def load(_: int) -> str:
        with pytest.raises(StoreError) as caught:
            store.load(b"key-a", START)
        return str(caught.value)

    reasons = in_parallel(8, load)
    assert sum(reason.startswith("still away") for reason in reasons) == 7
    stoppable_postgres.resume()
    assert store.load(b"key-a", START) == record()
    store.engine.dispose()
