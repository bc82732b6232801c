"""`DummySession`: what the contract says of sessions holds for it, and Pyramid's DummyRequest."""

import importlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pyramid import testing
from pyramid.csrf import check_csrf_token, get_csrf_token
from pyramid.interfaces import ISession
from pyramid.request import Request
from pyramid.response import Response
from pyramid.testing import DummyRequest
from zope.interface.verify import verifyObject

from sessionsite.sessions import (
    AllSessions,
    ConfigurationError,
    IStoredSession,
    MemoryStore,
    PayloadError,
    SessionEndedError,
    SessionLimitError,
    login,
    logout,
)
from sessionsite.sessions.opening import open_session
from sessionsite.testing import DummySession
from tests.contract.kit import Kit
from tests.harness.visitor import Clock

# Of the contract of factories, what needs no cookie but the newest. These tests run here once more,
# with this module's `kit`, which is why their modules are looked up and not imported.
CONTRACT = {
    "test_one_face": [],
    "test_factory_meanings": [],
    "test_dummy_request": [
        "test_no_cookie_is_an_empty_session",
        "test_an_exception_keeps_the_cookie_back_only_if_so_configured",
        "test_changed_and_invalidate_return_nothing",
        "test_flash_messages_are_lists_under_pyramid_s_keys",
        "test_csrf_tokens_are_under_pyramid_s_key",
    ],
}  # fmt: skip
for _name, _only in CONTRACT.items():
    _module = importlib.import_module(f"tests.contract.{_name}")
    _tests = _only or [name for name in vars(_module) if name.startswith(("test_", "Test"))]
    globals().update({name: getattr(_module, name) for name in _tests})
german = importlib.import_module("tests.contract.test_factory_meanings").german  # a fixture


class Opened(DummySession):
    """The session that a request's cookie stands for."""

    def __init__(self, request: Request, **options: Any) -> None:
        super().__init__(**options)
        for credentials in self._factory.cookie.read(request):
            self._open(credentials.id)


class DummyKit(Kit):
    """Its factory makes `DummySession`s: a response stores them."""

    def factory(self, **settings: str) -> Callable[[Request], Any]:
        real: Any = super().factory(**settings)
        values = {"secret": real.settings.secrets[0], "secure": "true"} | settings
        keys = {f"session.{key}": value for key, value in values.items()}

        def make(request: Request) -> Any:
            return Opened(request, store=self.store, settings=keys, now=self.clock)

        return lambda request: open_session(request, real.cookie.header, real, make)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kit(clock: Clock) -> Kit:
    return DummyKit("memory", clock, MemoryStore())


class TestOpening:
    def test_it_is_a_session_of_the_server_factory(self) -> None:
        for interface in (ISession, IStoredSession):
            verifyObject(interface, DummySession())

    @pytest.mark.parametrize("data", [None, {}])
    def test_without_anything_it_is_new(self, data: Any) -> None:
        store = MemoryStore()
        session = DummySession(data, store=store)
        assert (session.new, dict(session), session.owner) == (True, {}, None)
        assert list(store._records) == []

    @pytest.mark.parametrize("given", [{"data": {"a": 1}}, {"owner": "user:1"}])
    def test_with_data_or_an_owner_it_is_stored(self, given: Any) -> None:
        store = MemoryStore()
        session = DummySession(**given, store=store)
        assert list(store._records) == [session.id]
        assert (session.new, dict(session)) == (False, given.get("data", {}))
        assert session.owner == given.get("owner")

    def test_what_is_wrong_is_refused(self) -> None:
        with pytest.raises(PayloadError, match=r"session\['a'\]"):
            DummySession({"a": object()})
        with pytest.raises(ValueError, match="empty text"):
            DummySession(owner="")
        with pytest.raises(ConfigurationError, match=r"session\.timeout"):
            DummySession(settings={"session.timeout": "soon"})

    def test_it_has_the_settings_of_the_app(self) -> None:
        settings = {
            "session.max_bytes": "100",
            "session.sqlalchemy.url": "sqlite://",
            "another": "key",
        }
        with pytest.raises(PayloadError, match="max_bytes"):
            DummySession({"a": "x" * 100}, settings=settings)

    def test_its_cookie_has_come_back(self, clock: Clock) -> None:
        settings = {"session.timeout": "600", "session.new_timeout": "60"}
        new = DummySession(settings=settings, now=clock)
        assert new.expires_at == clock.now + timedelta(seconds=60)
        stored = DummySession({"a": 1}, settings=settings, now=clock)
        assert stored.expires_at == clock.now + timedelta(seconds=600)

    def test_it_tells_caches_what_the_settings_say(self) -> None:
        request, response = DummyRequest(), Response()
        DummySession(settings={"session.cache_control": "private"}).respond(request, response)
        assert response.headers["Cache-Control"] == "private"


class TestAgain:
    def test_the_next_request_finds_what_is_changed(self) -> None:
        session = DummySession()
        session["a"] = [1]
        session.flash("Saved.")
        after = session.again()
        assert isinstance(after, DummySession)
        assert (after.new, after.id, after["a"]) == (False, session.id, [1])
        assert after.pop_flash() == ["Saved."]
        assert after.again().peek_flash() == []

    def test_two_are_parallel_requests(self) -> None:
        session = DummySession({"seen": [], "n": 0})
        one, two = session.again(), session.again()
        one["seen"].append("a")
        two["seen"].append("b")
        for each in (one, two):
            each.transact(lambda data: data.update(n=data["n"] + 1))
        assert session.again() == {"seen": ["b", "a"], "n": 2}

    def test_after_the_end_it_is_another(self) -> None:
        session = DummySession({"a": 1})
        under_way = session.again()
        session.invalidate()
        session["b"] = 2
        assert session.again() == {"b": 2}
        under_way["a"] = 3
        with pytest.raises(SessionEndedError):
            under_way.transact(lambda data: None)
        assert under_way.again().new

    def test_it_ends_when_its_time_is_over(self, clock: Clock) -> None:
        settings = {"session.timeout": "100", "session.lifetime": "150"}
        session = DummySession({"a": 1}, settings=settings, now=clock)
        clock.move(99)
        session = session.again()
        session["b"] = 2
        session = session.again()
        clock.move(51)
        assert session.again().new

    def test_a_lifetime_that_was_lowered_holds(self, clock: Clock) -> None:
        store = MemoryStore()
        session = DummySession({"a": 1}, store=store, now=clock)
        clock.move(100)
        lowered = DummySession(
            store=store, now=clock, settings={"session.lifetime": "60", "session.timeout": "50"}
        )
        lowered._open(session.id)
        assert lowered.new


class TestWithDummyRequest:
    def test_login_logout_and_an_owners_sessions(self) -> None:
        store = MemoryStore()
        request = DummyRequest(session=DummySession({"cart": ["tea"]}, store=store))
        request.session_store = AllSessions(store, request=request)
        token = request.session.get_csrf_token()
        login(request, "user:1", lifetime=86400)
        phone = DummySession(owner="user:1", store=store)
        assert request.session["cart"] == ["tea"]
        assert request.session.get_csrf_token() != token
        current = {each.id: each.current for each in request.session_store.sessions_of("user:1")}
        assert current == {request.session.id: True, phone.id: False}
        assert request.session_store.end(phone.id)
        assert phone.again().new
        logout(request)
        after = request.session.again()
        assert (after, after.owner) == ({}, None)
        assert list(request.session_store.sessions_of("user:1")) == []

    def test_csrf_as_pyramid_checks_it(self) -> None:
        with testing.testConfig():
            request = DummyRequest(session=DummySession())
            request.POST = {"csrf_token": get_csrf_token(request)}
            request.session = request.session.again()
            assert check_csrf_token(request)
            assert not check_csrf_token(DummyRequest(session=DummySession()), raises=False)

    def test_a_limit_of_sessions_holds(self) -> None:
        settings = {"session.max_per_owner": "1", "session.on_limit": "refuse"}
        store = MemoryStore()
        first, second = (
            DummyRequest(session=DummySession(store=store, settings=settings)) for _ in range(2)
        )
        login(first, "user:1")
        with pytest.raises(SessionLimitError):
            login(second, "user:1")
        assert second.session.owner is None
