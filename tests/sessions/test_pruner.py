"""The pruner: expired rows go in batches, one process at a time, now and then."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.scripting import prepare
from webtest import TestApp

from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.pruner import Pruner, PrunerStart, prune_all
from sessionsite.testing import START, in_parallel, record
from tests.harness import free_port
from tests.harness.forking import in_child
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


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pruners that would have been started."""
    started: list[Any] = []
    monkeypatch.setattr("sessionsite.sessions.Pruner.start", lambda self: started.append(self))
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
    start_once = PrunerStart(start)
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

    start_once = PrunerStart(start)
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
