"""A connection is made in time, whatever takes long about it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sessionsite.sessions.sql import connecting
from sessionsite.sessions.sql.connecting import Connector
from sessionsite.sessions.store import StoreError
from sessionsite.testing import START
from tests.harness.forking import in_child
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.relay import Relay
from tests.harness.stores import sql_store


class Connection:
    closed = False

    def close(self) -> None:
        self.closed = True


def at_most(seconds: float) -> Callable[[Callable[[float], bool]], bool]:
    return lambda done: done(seconds)


def test_what_was_made_is_returned_and_what_was_raised_is_raised() -> None:
    made = Connection()
    assert Connector().connect(lambda: made, at_most(60)) is made
    assert not made.closed
    with pytest.raises(ZeroDivisionError):
        Connector().connect(lambda: 1 / 0, at_most(60))


def test_what_comes_too_late_is_closed() -> None:
    made = Connection()
    go = threading.Event()

    def make() -> Connection:
        go.wait(60)
        return made

    with pytest.raises(TimeoutError):
        Connector().connect(make, at_most(0.05))
    go.set()
    assert until(lambda: made.closed)


def test_what_comes_just_as_the_wait_is_broken_off_is_closed() -> None:
    made = Connection()

    def interrupted(done: Callable[[float], bool]) -> bool:
        assert done(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Connector().connect(lambda: made, interrupted)
    assert made.closed


def test_attempts_do_not_pile_up_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "_MAX_ATTEMPTS", 3)
    connector = Connector()
    go = threading.Event()
    begun: list[int] = []

    def make() -> None:
        begun.append(1)
        go.wait(60)

    for _ in range(10):
        with pytest.raises(TimeoutError):
            connector.connect(make, at_most(0.01))
    assert len(begun) == 3
    assert in_child(lambda: connector.connect(lambda: 1, at_most(60))) == 1
    go.set()
    assert until(lambda: not any(thread.is_alive() for thread in connector._attempts))
    assert connector.connect(lambda: 1, at_most(60)) == 1


def test_where_no_thread_can_be_had_it_is_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Connector().connect(lambda: 1, at_most(60)) == 1


def test_a_name_look_up_that_takes_for_ever_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real name server: tests/functional/outages."""
    asked = threading.Event()

    def look_up(*_: Any, **__: Any) -> None:
        asked.set()
        time.sleep(3)

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("sessionsite.sessions.sql.libpq.StoreConnection.connect", look_up)
    store = sql_store("postgresql://db.example/x", timeout=1, create_table=False)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"no connection within 0\.9 seconds"):
        store.delete("id-a")
    assert asked.is_set()
    assert time.monotonic() - began < 2
    store.close()


@pytest.mark.servers
def test_a_server_that_falls_silent_at_the_first_connection_is_named_as_such(
    postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy then rolls back, which fails on a connection that waits for an answer."""
    with Relay(postgres.port) as relay:
        url = postgres_url.replace(f":{postgres.port}/", f":{relay.port}/")
        store = sql_store(url, create_table=False, timeout=1)
        ask = store.engine.dialect._get_server_version_info

        def ask_in_vain(connection: Any) -> Any:
            relay.swallow()
            return ask(connection)

        monkeypatch.setattr(store.engine.dialect, "_get_server_version_info", ask_in_vain)
        with pytest.raises(StoreError, match=r"^no answer within 0\.9 seconds$"):
            store.load("id-a", START)
        store.close()
        relay.let_through()
        assert until(lambda: all(t.name != "session-store-cancel" for t in threading.enumerate()))
