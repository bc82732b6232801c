"""`session.migrate_from`: visitors of every other factory are carried over, once."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyramid.request import Request

from sessionsite.sessions import ConfigurationError, MemoryStore, StoreError, utc_now
from sessionsite.sessions.ini import resolve
from sessionsite.sessions.server import session_factory_from_settings
from sessionsite.sessions.server.expiry import Expiry
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.server.old_sessions import OldFactory, OldSessions
from sessionsite.sessions.settings import server_settings
from sessionsite.testing import in_parallel
from tests.harness.redis import start_redis
from tests.harness.visitor import Clock, Visitor

SECRET = "a-secret-for-tests-that-is-long-enough"
HEX = "5e55104a7e57f00dbeadfacade1ca7ed0123456789abcdeffedcba9876543210"
DATA = {"cart": [1, {"é": None}], "_f_": ["hello"], "user": 42}
_ignore = pytest.mark.filterwarnings
PACKAGES = {
    "cookie": "sessionsite.sessions.cookie",
    "pyramid": "sessionsite.sessions.pyramid_cookie",
    "nacl": "pyramid_nacl_session",
    "beaker": "pyramid_beaker",
    "redis": "pyramid_session_redis",
}
PICKLES = {"redis", "beaker"}
EACH = [
    "cookie",
    "pyramid",
    pytest.param("nacl", marks=_ignore("ignore:PickleSerializer:DeprecationWarning")),
    "beaker",
    pytest.param(
        "redis",
        marks=[_ignore("ignore:Call to deprecated setex:DeprecationWarning"), pytest.mark.servers],
    ),
]


def owner_of(request: Any, data: dict[str, Any]) -> str | None:
    return f"user:{data['user']}" if "user" in data else None


class Move:
    """An old factory, ours in its place, and one clock for ours."""

    def __init__(self, kind: str, old: dict[str, str], store: Any) -> None:
        self.kind = kind
        self.clock = Clock(utc_now())
        self.name = f"{PACKAGES[kind]}.session_factory_from_settings"
        self.theirs = old
        self.old = resolve("old", self.name)(old)
        self.store = store

    def settings(self, **changes: str) -> dict[str, str]:
        keys = {
            "session.secret": SECRET,
            "session.secure": "true",
            "session.store": "tests.sessions.server.test_old_sessions.the_store",
            "session.migrate_from": self.name,
            "session.migrate_owner": "tests.sessions.server.test_old_sessions.owner_of",
            **{f"session.old.{key}": value for key, value in self.theirs.items()},
        }
        if self.kind in PICKLES:
            keys["session.allow_insecure"] = "pickle"
        return keys | {f"session.{key}": value for key, value in changes.items()}

    def factory(self, **changes: str) -> ServerSessionFactory:
        STORES[0] = self.store
        factory = session_factory_from_settings(self.settings(**changes))
        factory.now = self.clock
        return factory

    def visitor(self, data: dict[str, Any] | None = None) -> Visitor:
        """A visitor with an old session."""
        visitor = Visitor(self.old)
        self.put(visitor, DATA if data is None else data)
        assert visitor.cookies
        return visitor

    def put(self, visitor: Visitor, data: dict[str, Any]) -> None:
        request = visitor.open()
        for key in [key for key in request.session if not key.startswith("_")]:
            del request.session[key]
        request.session.update(data)
        visitor.close(request)
        request._process_finished_callbacks()  # pyramid_session_redis stores it there


STORES: list[Any] = [MemoryStore()]


def the_store(settings: Any) -> Any:
    return STORES[0]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url


@pytest.fixture(params=EACH)
def move(request: pytest.FixtureRequest, tmp_path: Path) -> Move:
    kind = request.param
    old = {
        "cookie": {"session.secret": SECRET, "session.cookie_name": "old"},
        "pyramid": {"session.secret": SECRET},
        "nacl": {"session.secret": HEX, "session.serializer": "json"},
        "beaker": {
            "session.type": "file", "session.data_dir": str(tmp_path), "session.key": "old",
            "session.secret": SECRET, "session.save_accessed_time": "true",
        },
        "redis": {},
    }[kind]  # fmt: skip
    if kind == "redis":
        url = request.getfixturevalue("redis_url")
        old = {"redis.sessions.secret": SECRET, "redis.sessions.redis_url": url}
    return Move(kind, old, MemoryStore())


def carried(visitor: Visitor) -> dict[str, Any]:
    with visitor.request() as session:
        return dict(session)


def test_a_visitor_is_carried_over_with_data_and_owner(move: Move) -> None:
    visitor = move.visitor()
    old_names = set(visitor.cookies)
    visitor.factory = move.factory()
    request = visitor.open()
    assert dict(request.session) == json.loads(json.dumps(DATA))
    assert (request.session.owner, request.session.new) == ("user:42", False)
    assert request.session.pop_flash() == ["hello"]
    visitor.close(request)
    assert set(visitor.cookies) == {"sessionsite"}
    assert not old_names & set(visitor.cookies)
    session = visitor.open().session
    assert (session["cart"], session.peek_flash()) == ([1, {"é": None}], [])


def test_it_is_one_session_for_parallel_requests(move: Move) -> None:
    visitor = move.visitor()
    visitor.factory = move.factory()
    first, second = visitor.open(), visitor.open()
    first.session["a"] = 1
    second.session["b"] = 2
    visitor.close(first)
    visitor.close(second)
    assert {"a": 1, "b": 2}.items() <= dict(visitor.open().session).items()
    assert move.store.counts(move.clock.now).live == 1


def test_a_lost_answer_can_be_asked_for_again(move: Move) -> None:
    visitor = move.visitor()
    old = dict(visitor.cookies)
    visitor.factory = move.factory()
    visitor.open()  # and its answer is lost
    assert "cart" in dict(visitor.open().session)
    move.clock.move(61)
    assert "cart" in carried(visitor)
    assert "sessionsite" in visitor.cookies
    assert not set(old) & set(visitor.cookies)


def test_the_old_cookie_never_comes_back_after_a_logout(move: Move) -> None:
    visitor = move.visitor()
    copy = dict(visitor.cookies)
    visitor.factory = move.factory()
    carried(visitor)
    with visitor.request() as session:
        session.invalidate()
    assert visitor.cookies == {}
    for later in (1, 61, 86400):
        move.clock.move(later)
        thief = Visitor(visitor.factory, **copy)
        session = thief.open().session
        assert (dict(session), session.new, session.owner) == ({}, True, None)


def test_a_copy_of_the_old_cookie_opens_nothing_once_the_new_one_was_used(move: Move) -> None:
    visitor = move.visitor()
    copy = dict(visitor.cookies)
    visitor.factory = move.factory()
    carried(visitor)
    with visitor.request() as session:
        session["a"] = 1
    move.clock.move(61)
    assert carried(Visitor(visitor.factory, **copy)) == {}
    assert "cart" in carried(visitor)


def test_who_has_a_cookie_of_ours_keeps_that_session(move: Move) -> None:
    visitor = move.visitor()
    ours = Visitor(move.factory())
    with ours.request() as session:
        session["mine"] = 1
    ours.cookies |= {k: v for k, v in visitor.cookies.items() if k not in ours.cookies}
    assert carried(ours) == {"mine": 1}
    assert set(ours.cookies) == {"sessionsite"}  # the old one is deleted


def test_a_visitor_without_an_old_session_begins_anew(move: Move) -> None:
    (name,) = move.visitor().cookies
    factory = move.factory()
    for value in ("", "x", "%", "eyJhIjoxfQ==", "a" * 3000):
        visitor = Visitor(factory, **{name: value})
        with visitor.request() as session:
            assert (dict(session), session.new) == ({}, True)
            session["a"] = 1
        assert set(visitor.cookies) == {"sessionsite"}
    assert move.store.counts(move.clock.now).live == 5


def test_a_cookie_that_opens_nothing_is_warned_of_once(
    move: Move, caplog: pytest.LogCaptureFixture
) -> None:
    """All of them, if the old secret is a wrong one."""
    (name,) = move.visitor().cookies
    factory = move.factory()
    for value in ("x" * 200, "y" * 200):
        with Visitor(factory, **{name: value}).request() as session:
            assert session.new
    told = [r for r in caplog.records if "opened no session of the old factory" in r.getMessage()]
    assert len(told) == 1
    assert "session.old.* are not the settings" in told[0].getMessage()


def test_what_is_no_json_or_too_much_is_not_carried_over(
    move: Move, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = move.visitor({"a": {1, 2} if move.kind in PICKLES else "x" * 2000})
    visitor.factory = move.factory(max_bytes="1000")
    assert carried(visitor) == {}
    assert "An old session was not carried over" in caplog.text


def test_an_empty_old_session_is_none(move: Move) -> None:
    visitor = move.visitor({"a": 1})
    move.put(visitor, {})
    visitor.factory = move.factory()
    assert visitor.open().session.new


def test_markers_are_no_sessions(move: Move) -> None:
    visitor = move.visitor()
    visitor.factory = move.factory()
    carried(visitor)
    now = move.clock.now
    counts = move.store.counts(now)
    assert (counts.live, counts.owned, counts.owners) == (1, 1, 1)
    (listed,) = move.store.latest(now, 10)
    assert listed.owner == "user:42"
    move.clock.move(1)
    later = move.clock.now
    assert sum(len(batch) for batch in move.store.end_older(later, later, later)) == 1
    assert move.store.counts(later).live == 0


def test_many_at_once_are_one(move: Move) -> None:
    visitor = move.visitor()
    factory = move.factory()

    def open_one(_number: int) -> str:
        other = Visitor(factory, **visitor.cookies)
        with other.request() as session:
            session.setdefault("seen", []).append(_number)
            name: str = session.id
        return name

    ids = in_parallel(6, open_one)
    counts = move.store.counts(move.clock.now)
    assert counts.live >= 1
    assert len(set(ids)) == counts.live


@pytest.mark.parametrize("move", ["cookie"], indirect=True)
class TestWhatGoesWrong:
    def test_of_several_old_cookies_none_is_carried_over(self, move: Move) -> None:
        first, second = move.visitor(), move.visitor({"user": 1})
        header = "; ".join(f"old={v.cookies['old']}" for v in (first, second))
        visitor = Visitor(move.factory())
        with visitor.request(HTTP_COOKIE=header) as session:
            assert dict(session) == {}

    def test_an_old_session_that_can_not_be_ended_is_carried_over(
        self, move: Move, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = move.visitor()
        factory = visitor.factory = move.factory()
        assert factory.old is not None
        make = factory.old._factory.make

        def stubborn(request: Request) -> Any:
            session = make(request)

            def fail() -> None:
                raise ZeroDivisionError

            session.invalidate = fail
            return session

        monkeypatch.setattr(factory.old, "_factory", _with(factory.old._factory, make=stubborn))
        assert "cart" in carried(visitor)
        assert "could not be ended" in caplog.text

    def test_without_a_hook_nobody_owns_it(self, move: Move) -> None:
        visitor = move.visitor()
        visitor.factory = move.factory(migrate_owner="none")
        session = visitor.open().session
        assert ("cart" in session, session.owner) == (True, None)

    def test_data_that_no_session_can_hold_is_a_new_session(
        self, move: Move, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = move.visitor({"_f_": "no list"})
        visitor.factory = move.factory()
        assert carried(visitor) == {}

    def test_a_row_that_is_gone_is_a_new_session(self, move: Move) -> None:
        visitor = move.visitor()
        factory = visitor.factory = move.factory()
        first = visitor.open().session
        move.store.delete(first.id)
        assert visitor.open().session.new
        assert factory.old is not None

    def test_a_row_that_was_spoilt_is_a_new_session(
        self, move: Move, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = move.visitor()
        visitor.factory = move.factory()
        first = visitor.open().session

        def spoil(row: Any) -> Any:
            return _with(row, payload="[]")

        move.store.update(first.id, move.clock.now, spoil)
        assert visitor.open().session.new
        assert "can't be read" in caplog.text


class TestPickles:
    def test_two_processes_that_begin_at_once_have_one_time(self) -> None:
        store = MemoryStore()
        settings = server_settings({"session.secret": SECRET, "session.max_lifetime": "none"})
        made = [
            OldSessions(
                OldFactory("x", lambda request: None, "old", unpickles=True),
                lambda: store, settings, Expiry.from_settings(settings),
            )
            for _ in range(2)
        ]  # fmt: skip
        now = utc_now()
        load = store.load
        store.load = lambda *_: None  # type: ignore[method-assign]
        assert made[0]._is_open(now)
        seen: list[Any] = []

        def late(id: str, now: Any) -> Any:
            seen.append(id)
            return None if len(seen) == 1 else load(id, now)

        store.load = late  # type: ignore[method-assign]
        later = now + timedelta(days=29)
        assert made[1]._is_open(later)
        assert not made[1]._is_open(now + timedelta(days=30))

    @pytest.mark.parametrize("move", [EACH[2], "beaker"], indirect=True)
    def test_a_factory_that_unpickles_is_refused(self, move: Move) -> None:
        if move.kind == "nacl":
            move.theirs = {"session.secret": HEX}
        settings = move.settings()
        settings.pop("session.allow_insecure", None)
        with pytest.raises(ConfigurationError, match="allow_insecure = pickle"):
            session_factory_from_settings(settings)

    @pytest.mark.parametrize("move", ["beaker"], indirect=True)
    def test_it_carries_over_for_as_long_as_an_old_session_lives(self, move: Move) -> None:
        factory = move.factory(max_lifetime="86400")
        first, late = move.visitor(), move.visitor()
        first.factory = late.factory = factory
        assert "cart" in carried(first)
        move.clock.move(86401)
        another = move.factory(max_lifetime="86400")  # a restart begins no new time
        late.factory = another
        assert carried(late) == {}

    @pytest.mark.parametrize("move", ["cookie"], indirect=True)
    def test_json_is_carried_over_for_as_long_as_it_is_set(self, move: Move) -> None:
        visitor = move.visitor()
        visitor.factory = move.factory(max_lifetime="86400")
        move.clock.move(86401)
        assert "cart" in carried(visitor)


class TestSettings:
    @pytest.mark.parametrize("move", ["cookie"], indirect=True)
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"migrate_from": "no.such.factory"}, "session.migrate_from"),
            ({"migrate_from": "json.loads"}, "give it its settings under session.old."),
            ({"migrate_owner": "no.such.hook"}, "session.migrate_owner"),
            ({"old.session.secret": ""}, "session.migrate_from: session.secret"),
            ({"old.session.tiemout": "1"}, "did you mean session.timeout"),
            ({"old.cookie_name": "s"}, "begin it with session.old.session."),
            ({"migrate_from": "none"}, "session.old.session.cookie_name: is for session.migrate"),
        ],
    )
    def test_a_wrong_one_is_refused_at_start(
        self, move: Move, changes: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            move.factory(**changes)

    @pytest.mark.parametrize("move", ["cookie"], indirect=True)
    def test_a_factory_that_does_not_say_its_cookies_name_needs_it(self, move: Move) -> None:
        changes = {"migrate_from": "tests.sessions.server.test_old_sessions.nameless"}
        with pytest.raises(ConfigurationError, match=r"session\.migrate_cookie: is required"):
            move.factory(**changes)
        visitor = Visitor(move.factory(**changes, migrate_cookie="named"), named="x")
        assert carried(visitor) == {"from": "nameless"}

    @pytest.mark.parametrize("move", ["cookie"], indirect=True)
    def test_an_old_store_that_is_away_loses_nobodys_session(
        self, move: Move, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        visitor = move.visitor()
        factory = visitor.factory = move.factory()
        assert factory.old is not None

        def away(request: Request) -> Any:
            raise ConnectionRefusedError("away")

        with monkeypatch.context() as patch:
            patch.setattr(factory.old, "_factory", _with(factory.old._factory, make=away))
            with pytest.raises(StoreError, match="the old session store: away"):
                visitor.open()
        assert "cart" in carried(visitor)

    @pytest.mark.parametrize("move", ["cookie"], indirect=True)
    def test_an_old_factory_that_fails_is_a_new_session(
        self, move: Move, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        visitor = move.visitor()
        factory = visitor.factory = move.factory()
        assert factory.old is not None

        def broken(request: Request) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(factory.old, "_factory", _with(factory.old._factory, make=broken))
        assert carried(visitor) == {}
        assert "An old session can't be read" in caplog.text


def _with(factory: Any, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(factory, **changes)


def nameless(settings: Any) -> Any:
    class Session(dict[str, Any]):
        new = False

        def invalidate(self) -> None:
            self.clear()

    return lambda request: Session({"from": "nameless"})
