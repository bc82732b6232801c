"""The fixtures of `sessionsite.testing.plugin`, and what loading it costs."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyramid.testing import DummyRequest

from sessionsite.sessions import MemoryStore, SessionEndedError, login, utc_now
from sessionsite.testing import DummySession, session
from sessionsite.testing.plugin import expired, session_store, travel
from tests.testing.kit import cookie, make_app, ours

__all__ = ["expired", "session_store", "travel"]  # the fixtures

Travel = Callable[[float], datetime]
Expired = Callable[[Any], Any]


def test_the_store_is_empty_and_real(session_store: MemoryStore) -> None:
    assert session_store.counts(utc_now()).live == 0
    kept = DummySession({"a": 1}, store=session_store)
    assert session_store.load(kept.id, utc_now()) is not None


def test_time_stands_still_until_it_is_moved(travel: Travel) -> None:
    start = utc_now()
    assert utc_now() is not datetime.now(UTC)
    assert utc_now() == start
    assert travel(60) == utc_now() == start + timedelta(seconds=60)
    assert travel(0.5) == start + timedelta(seconds=60.5)
    assert start.utcoffset() == timedelta(0)


def test_time_goes_by_the_clock_when_the_test_is_over() -> None:
    assert abs(datetime.now(UTC) - utc_now()) < timedelta(seconds=60)


@pytest.mark.parametrize("factory", [ours, cookie])
def test_an_apps_sessions_go_by_it_to_the_second(factory: Any, travel: Travel) -> None:
    visitor = make_app(factory(timeout="100", reissue_time="0"))
    visitor.get("/")
    travel(99)
    assert visitor.get("/").text == "2"
    travel(100)
    assert visitor.get("/").text == "1"


def test_remember_me_outlasts_the_time_out(travel: Travel) -> None:
    request = DummyRequest(session=DummySession())
    login(request, "user:1", lifetime=30 * 86400)
    travel(30 * 86400 - 1)
    remembered = request.session.again()
    assert remembered.owner == "user:1"
    travel(1)
    assert remembered.again().new


@pytest.mark.parametrize("factory", [ours, cookie])
def test_a_visitors_session_expires(factory: Any, expired: Expired) -> None:
    visitor = make_app(factory())
    assert [visitor.get("/").text for _ in range(2)] == ["1", "2"]
    assert expired(visitor) is visitor
    assert visitor.get("/").text == "1"


def test_a_dummy_session_expires(expired: Expired) -> None:
    kept = expired(DummySession({"a": 1}))
    with pytest.raises(SessionEndedError):
        kept.transact(lambda data: data.clear())
    assert expired(DummySession({"a": 1})).again().new


def test_just_before_it_has_not(expired: Expired, travel: Travel) -> None:
    visitor = make_app(ours())
    visitor.get("/")
    travel(-1)
    expired(visitor)
    travel(-0.001)
    assert visitor.get("/").text == "2"


def test_a_session_without_an_end_is_refused(expired: Expired) -> None:
    endless = {
        "session.timeout": "none",
        "session.lifetime": "none",
        "session.allow_insecure": "endless",
    }
    with pytest.raises(ValueError, match="neither an idle nor an absolute end"):
        expired(DummySession({"a": 1}, settings=endless))


def test_a_visitor_without_a_session_is_no_error(expired: Expired) -> None:
    visitor = make_app(ours())
    with session(expired(visitor)) as data:
        assert data.new


def test_the_kit_loads_no_pytest() -> None:
    code = "import sys, sessionsite.testing; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
