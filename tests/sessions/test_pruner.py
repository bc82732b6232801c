"""The pruner: expired rows go in batches, one process at a time, now and then."""

from datetime import timedelta
from typing import Any

import pytest
from pyramid.config import Configurator

from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.pruner import Pruner, prune_all
from sessionsite.testing import START, record
from tests.harness import free_port
from tests.harness.stores import sql_store


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


@pytest.mark.parametrize(("interval", "running"), [("900", 1), ("none", 0)])
def test_the_app_starts_it_unless_told_not_to(
    sqlite_url: str, interval: str, running: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr("sessionsite.sessions.Pruner.start", lambda self: started.append(self))
    settings = {
        "sessionsite.session_factory": "sessionsite.sessions.server.session_factory_from_settings",
        "session.secret": "a-secret-for-tests-that-is-long-enough",
        "session.sqlalchemy.url": sqlite_url,
        "session.prune_interval": interval,
    }
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
    config.make_wsgi_app()
    assert len(started) == running
