"""The pruner: expired rows go in batches, one process at a time, now and then."""

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.scripting import prepare
from webtest import TestApp

from sessionsite.sessions import StoreError, Sweep
from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.once import OncePerProcess
from sessionsite.sessions.pruner import PRUNE_BATCH, Pruner, prune_all
from sessionsite.testing import START, in_parallel, record
from tests.harness import free_port
from tests.harness.forking import in_child
from tests.harness.postgres import Postgres, end_clients
from tests.harness.stores import sql_store
from tests.sessions.apps import SERVER


def expired(store: Any, count: int) -> None:
    for n in range(count):
        store.create(record(str(n), expires_at=START))


def pruner(store: Any, interval: float = 900) -> Pruner:
    return Pruner(store, interval, lambda: START)


def test_prune_all_goes_batch_by_batch() -> None:
    store = MemoryStore()
    expired(store, 25)
    store.create(record("alive"))
    assert list(prune_all(store, START, 10)) == [10, 10, 5]
    assert store.load("id-alive", START)


def test_the_pruner_removes_all_that_has_expired(sqlite_url: str) -> None:
    store = sql_store(sqlite_url)
    expired(store, 5)
    assert pruner(store).prune() == 5
    assert store.count_expired(START + timedelta(days=1)) == 0
    store.engine.dispose()


def test_one_process_prunes_at_a_time(postgres_url: str) -> None:
    first, second = sql_store(postgres_url), sql_store(postgres_url)
    expired(first, 5)
    with first.sweeping() as ours:
        assert ours
        assert pruner(second).prune() == 0
    assert pruner(second).prune() == 5
    first.engine.dispose()
    second.engine.dispose()


def test_a_run_that_finds_nothing_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert pruner(MemoryStore()).prune() == 0
    assert caplog.messages == []


def test_a_run_that_has_deleted_says_so_and_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store = MemoryStore()
    expired(store, 5)
    times = iter([START, START + timedelta(seconds=2.5)])
    assert Pruner(store, 900, lambda: next(times)).prune() == 5
    assert caplog.messages == ["Session pruner: 5 expired sessions removed in 2.5 seconds"]
    assert store.last_sweep() == Sweep(START + timedelta(seconds=2.5), 5, 2.5)


def test_a_run_that_can_not_be_noted_has_deleted_all_the_same(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sweep: Sweep) -> None:
        raise StoreError("read-only")

    store = MemoryStore()
    expired(store, 5)
    monkeypatch.setattr(store, "note_sweep", fail)
    assert pruner(store).prune() == 5
    assert "Session pruner: its run could not be noted: read-only" in caplog.messages


def test_what_another_process_prunes_is_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(store, "sweeping", lambda: nullcontext(False))
    assert pruner(store).prune() == 0
    assert store.last_sweep() is None


def test_it_does_with_one_connection_and_commits_each_batch(
    postgres_url: str,
) -> None:
    store = sql_store(postgres_url, engine={"pool_size": "1"}, timeout=1)
    other = sql_store(postgres_url)
    expired(store, 5)
    with store.sweeping() as ours:
        assert ours
        for left, removed in ((3, 2), (1, 2), (0, 1)):
            assert store.prune(START, 2) == removed
            assert other.count_expired(START) == left
            assert pruner(other).prune() == 0  # it is still the other one's turn
    expired(store, 3)
    assert pruner(other).prune() == 3
    expired(store, 3)
    assert pruner(store).prune() == 3
    store.close()
    other.close()


def idle_in_transaction(url: str) -> int:
    other = sql_store(url)
    with other.engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        query += " AND datname = current_database()"
        count = int(connection.exec_driver_sql(query).scalar_one())
    other.close()
    return count


def test_no_transaction_is_open_between_two_batches(postgres_url: str) -> None:
    """It would keep vacuum from cleaning up, all over the database."""
    store = sql_store(postgres_url)
    expired(store, 5)
    with store.sweeping() as ours:
        assert ours
        for _ in range(2):
            assert idle_in_transaction(postgres_url) == 0
            assert store.prune(START, 2) == 2
    assert idle_in_transaction(postgres_url) == 0
    store.close()


def test_behind_a_pooler_each_batch_is_a_transaction_with_its_lock(postgres_url: str) -> None:
    pooled = f"{postgres_url}?prepare_threshold=none"
    store, other = sql_store(pooled), sql_store(pooled)
    expired(store, 5)
    with store.sweeping() as ours:
        assert ours
        for removed in (2, 2, 1):
            assert store.prune(START, 2) == removed
            assert pruner(other).prune() == 0
    expired(store, 3)
    assert pruner(other).prune() == 3
    store.close()
    other.close()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, StoreError])
@pytest.mark.parametrize("pooled", [True, False])
def test_the_turn_ends_however_it_ends(
    postgres_url: str, error: type[BaseException], pooled: bool
) -> None:
    url = f"{postgres_url}?prepare_threshold=none" if pooled else postgres_url
    store, other = sql_store(url), sql_store(url)

    def sweep() -> None:
        with store.sweeping() as ours:
            assert ours
            store.prune(START, 2)
            raise error

    with pytest.raises(error):
        sweep()
    expired(store, 1)
    assert pruner(other).prune() == 1
    store.close()
    other.close()


def test_a_connection_that_is_cut_off_takes_its_turn_with_it(
    postgres: Postgres, postgres_url: str
) -> None:
    store, other = sql_store(postgres_url), sql_store(postgres_url)
    expired(store, 3)

    def sweep() -> None:
        with store.sweeping() as ours:
            assert ours
            with postgres.connect(postgres_url) as connection:
                end_clients(connection, "datname = current_database() AND pid <> pg_backend_pid()")
            store.prune(START, 2)

    with pytest.raises(StoreError):
        sweep()
    assert pruner(other).prune() == 3
    store.close()
    other.close()


def test_what_lies_before_the_last_batch_is_found_by_the_same_sweep(postgres_url: str) -> None:
    """A batch begins where the one before has ended, and the last one from the beginning."""
    store = sql_store(postgres_url)
    for seconds in range(5):
        store.create(record(str(seconds), expires_at=START - timedelta(seconds=seconds)))
    assert store.prune(START, 2) == 2
    for seconds in (3, 4):  # as old as those that have gone
        store.create(record(f"{seconds}-again", expires_at=START - timedelta(seconds=seconds)))
    assert store.prune(START, 10) == 5
    assert store.prune(START, 10) == 0
    store.close()


def test_a_row_that_is_locked_is_left_for_later(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    expired(store, 3)
    with store.engine.connect() as connection:  # in AUTOCOMMIT mode
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT 1 FROM sessions WHERE id = 'id-1' FOR UPDATE")
        assert pruner(store).prune() == 2
        connection.exec_driver_sql("COMMIT")
    assert pruner(store).prune() == 1
    store.engine.dispose()


def test_a_store_that_is_away_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"postgresql://u:hunter2@127.0.0.1:{free_port()}/d"
    assert pruner(sql_store(url, create_table=False)).prune() == 0
    assert "Session pruner" in caplog.text
    assert "hunter2" not in caplog.text


def test_pauses_differ_by_half_at_most() -> None:
    pauses = [pruner(MemoryStore(), 100).pause() for _ in range(200)]
    assert 50 <= min(pauses) < 75 < 125 < max(pauses) <= 150


def test_the_thread_prunes_and_stops(sqlite_url: str) -> None:
    store = sql_store(sqlite_url)
    expired(store, 3)
    thread = pruner(store, interval=0.01)
    thread.start()
    try:
        while store.count_expired(START):
            assert thread.is_alive()
    finally:
        thread.stop()
        thread.join(timeout=10)
    assert not thread.is_alive()
    store.engine.dispose()


class Stopping(MemoryStore):
    """A store that is told to stop in the middle of a batch."""

    pruner: Pruner

    def prune(self, now: datetime, limit: int) -> int:
        self.pruner.stop()
        return super().prune(now, limit)


def test_a_pruner_that_is_to_stop_finishes_the_batch_and_no_other() -> None:
    store = Stopping()
    expired(store, 2 * PRUNE_BATCH)
    store.pruner = pruner(store)
    assert store.pruner.prune() == PRUNE_BATCH


def test_the_end_of_a_process_ends_its_own_pruner_alone() -> None:
    def end() -> bool:
        thread._end()
        return thread._stopped.is_set()

    thread = pruner(MemoryStore())
    thread.start()
    assert not in_child(end)
    assert end()
    assert not thread.is_alive()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pruners that would have been started."""
    started: list[Any] = []
    monkeypatch.setattr(
        "sessionsite.sessions.pruner.Pruner.start", lambda self: started.append(self)
    )
    return started


@pytest.fixture
def make_app(sqlite_url: str) -> Callable[..., TestApp]:
    def make(interval: str = "900") -> TestApp:
        settings = {
            "sessionsite.session_factory": SERVER,
            "session.secret": "a-secret-for-tests-that-is-long-enough",
            "session.sqlalchemy.url": sqlite_url,
            "session.prune_interval": interval,
        }
        with Configurator(settings=settings) as config:
            config.include("sessionsite.sessions")
        return TestApp(config.make_wsgi_app())

    return make


def test_an_app_that_serves_nobody_has_no_pruner(
    make_app: Callable[..., TestApp], started: list[Any]
) -> None:
    app = make_app().app
    with prepare(registry=app.registry) as env:  # as pshell and scripts do
        assert dict(env["request"].session) == {}
    assert started == []


@pytest.mark.parametrize(("interval", "running"), [("900", 1), ("none", 0)])
def test_the_first_request_starts_it_unless_told_not_to(
    make_app: Callable[..., TestApp], started: list[Any], interval: str, running: int
) -> None:
    app = make_app(interval)
    for _ in range(3):
        app.get("/", status=404)
    assert len(started) == running


def test_of_first_requests_at_once_one_starts_it() -> None:
    def start() -> None:
        started.append(1)
        in_parallel(4, lambda _: start_once.serve())  # while the first one is still at it

    started: list[int] = []
    start_once = OncePerProcess("Session pruner", start)
    start_once.serve()
    assert started == [1]


def test_a_pruner_that_can_not_start_fails_no_request_and_the_next_one_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: Iterator[Any] = iter([RuntimeError("can't start new thread"), None])
    tries: list[Any] = []

    def start() -> None:
        tries.append(next(outcomes))
        if tries[-1]:
            raise tries[-1]

    start_once = OncePerProcess("Session pruner", start)
    for _ in range(3):
        start_once.serve()
    assert len(tries) == 2
    assert "can't start new thread" in caplog.text


def test_each_process_that_serves_has_one(make_app: Callable[..., TestApp]) -> None:
    def pruners() -> int:
        return [thread.name for thread in threading.enumerate()].count("session-pruner")

    def serve() -> list[int]:
        before = pruners()
        for _ in range(2):
            app.get("/", status=404)
        return [before, pruners()]

    before = pruners()
    app = make_app()
    assert in_child(serve) == [0, 1]  # as gunicorn's workers, whose master serves nobody
    assert pruners() == before
    assert serve() == [before, before + 1]
    assert in_child(serve) == [0, 1]
