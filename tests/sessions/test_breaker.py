"""While the store is away a request or two probe it, and the others fail at once."""

import time

import pytest

from sessionsite.sessions import breaker as module
from sessionsite.sessions.breaker import CircuitBreaker
from sessionsite.sessions.store import StoreError


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker()


def test_while_all_is_well_no_request_waits_for_another(breaker: CircuitBreaker) -> None:
    assert [breaker.admit(), breaker.admit()] == [False, False]
    assert not breaker.is_open


def test_while_one_asks_the_others_fail_at_once(breaker: CircuitBreaker) -> None:
    breaker.trip("no answer")
    assert breaker.is_open
    assert breaker.admit()
    for _ in range(2):
        with pytest.raises(StoreError, match="still away: no answer"):
            breaker.admit()
    breaker.reset()
    breaker.release()
    assert [breaker.admit(), breaker.admit()] == [False, False]


def test_the_next_one_asks_again(breaker: CircuitBreaker) -> None:
    breaker.trip("no answer")
    for _ in range(2):
        assert breaker.admit()
        breaker.release()


def test_a_probe_that_takes_its_time_gets_company_and_no_more(
    breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe on a connection that is dead waits long; whether the store is back shows sooner."""
    monkeypatch.setattr(module, "MOMENT", 0.05)
    breaker.trip("no answer")
    assert breaker.admit()
    time.sleep(0.1)
    assert breaker.admit()
    time.sleep(0.1)
    with pytest.raises(StoreError):
        breaker.admit()


def test_one_session_that_is_waited_for_in_vain_is_no_outage(breaker: CircuitBreaker) -> None:
    for _ in range(100):
        breaker.timed_out("id-a", "lock timeout")
    assert not breaker.is_open


def test_several_sessions_are_one(breaker: CircuitBreaker) -> None:
    for name in ("id-a", "id-b", "id-c"):
        assert not breaker.is_open
        breaker.timed_out(name, f"lock timeout for {name}")
    with pytest.raises(StoreError, match="still away: lock timeout for id-c"):
        breaker.admit() and breaker.admit()


def test_they_are_not_if_the_store_has_answered_in_between(breaker: CircuitBreaker) -> None:
    for number in range(10):
        breaker.timed_out(f"id-{number}", "lock timeout")
        breaker.reset()
    assert not breaker.is_open


def test_one_that_is_shut_admits_nobody(breaker: CircuitBreaker) -> None:
    breaker.shut("forked")
    with pytest.raises(StoreError, match="forked"):
        breaker.admit()
