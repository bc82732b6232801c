"""Fixtures for pytest. In the `conftest.py` of your tests:

    pytest_plugins = ["sessionsite.testing.plugin"]

It is no entry point: pytest would load it in every project of the environment, and would give
fixtures with these names to tests that have others in mind.
"""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta, tzinfo
from typing import Any, TypeVar

import pytest

from ..sessions import MemoryStore, store, utc_now
from .visitor import session

T = TypeVar("T")


@pytest.fixture
def session_store() -> MemoryStore:
    """A store in memory, empty, for the `DummySession`s of one test, or for its app."""
    return MemoryStore()


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], datetime]:
    """`travel(seconds)` moves the time on, and returns it.

    It is the time that all sessions of ours go by, in this process, on any store. As long as the
    test runs it stands still, but for that. No other clock is moved.
    """
    clock = _Clock(utc_now())
    monkeypatch.setattr(store, "datetime", clock)
    return clock.move


@pytest.fixture
def expired(travel: Callable[[float], datetime]) -> Callable[[T], T]:
    """`expired(whose)` moves the time on to where a session ends, and returns `whose`.

    `whose` is a `DummySession`, or the WebTest app that stands for the session's visitor. Raises
    ValueError for a session without an end.
    """

    def expire(whose: Any) -> Any:
        with nullcontext(whose) if hasattr(whose, "expires_at") else session(whose) as data:
            end = data.expires_at
        if end is None:
            raise ValueError("the session has neither an idle nor an absolute end")
        travel((end - utc_now()).total_seconds())
        return whose

    return expire


class _Clock:
    """What `utc_now` finds in the place of `datetime`, and asks for the time in UTC."""

    def __init__(self, time: datetime) -> None:
        self._time = time

    def now(self, tz: tzinfo) -> datetime:
        return self._time

    def move(self, seconds: float) -> datetime:
        self._time += timedelta(seconds=seconds)
        return self._time
