"""Time-outs of a session's own: `set_lifetime`."""

from datetime import timedelta
from typing import Any

import pytest

from sessionsite.sessions import HeadersSentError
from tests.contract.kit import Kit, begin, on_servers, stored

HOUR, DAY = 3600, 86400


def is_open(visitor: Any) -> bool:
    return not visitor.open().session.new


def max_age(visitor: Any) -> str | None:
    (cookie,) = visitor.set_cookie
    return next((p[8:] for p in cookie.split("; ") if p.startswith("Max-Age=")), None)


def test_a_timeout_of_its_own_is_counted_from_the_last_use(kit: Kit) -> None:
    visitor = begin(kit, timeout="1200")
    with visitor.request() as session:
        session.set_lifetime(timeout=2 * HOUR)
        assert session.expires_at == kit.clock.now + timedelta(hours=2)
    for _ in range(3):
        kit.clock.move(HOUR)
        with visitor.request() as session:
            assert not session.new
            session.touch()
    kit.clock.move(2 * HOUR + 1)
    assert not is_open(visitor)


def test_a_shorter_timeout_ends_it_sooner(kit: Kit) -> None:
    visitor = begin(kit, timeout="1200")
    with visitor.request() as session:
        session.set_lifetime(timeout=60)
    for _ in range(3):  # used, it goes on, though 120 seconds are the usual reissue_time
        kit.clock.move(50)
        with visitor.request() as session:
            assert not session.new
    kit.clock.move(61)
    assert not is_open(visitor)


def test_a_lifetime_of_its_own_is_counted_from_the_creation(kit: Kit) -> None:
    visitor = begin(kit, timeout="1200")
    kit.clock.move(600)
    with visitor.request() as session:
        session.set_lifetime(lifetime=HOUR)
    for _ in range(4):
        kit.clock.move(600)
        with visitor.request() as session:
            session.touch()
    kit.clock.move(599)
    assert is_open(visitor)
    kit.clock.move(1)
    assert not is_open(visitor)


def test_none_is_no_timeout(kit: Kit) -> None:
    visitor = begin(kit, timeout="1200")
    with visitor.request() as session:
        session.set_lifetime(timeout=None, lifetime=DAY)
    kit.clock.move(DAY - 1)
    assert is_open(visitor)
    kit.clock.move(1)
    assert not is_open(visitor)


def test_what_is_not_given_stays_as_it_is(kit: Kit) -> None:
    visitor = begin(kit, timeout="1200")
    with visitor.request() as session:
        session.set_lifetime(timeout=2 * HOUR)
    with visitor.request() as session:
        session.set_lifetime(persistent=True)
    with visitor.request() as session:
        session.set_lifetime()
        assert session.expires_at == kit.clock.now + timedelta(hours=2)


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"timeout": -1}, {"timeout": 1.5}, {"timeout": "60"}, {"timeout": True},
     {"lifetime": 10**9 + 1}, {"lifetime": timedelta(hours=1)}, {"persistent": None},
     {"persistent": 1}, {"timeout": 60, "lifetime": 0}],
)  # fmt: skip
def test_a_value_that_is_none_is_refused_and_changes_nothing(
    kit: Kit, wrong: dict[str, Any]
) -> None:
    visitor = begin(kit)
    request = visitor.open()
    with pytest.raises((TypeError, ValueError), match="set_lifetime"):
        request.session.set_lifetime(**wrong)
    visitor.close(request)
    assert visitor.set_cookie == []


def test_a_persistent_cookie_lasts_as_long_as_the_session(kit: Kit) -> None:
    visitor = begin(kit)
    kit.clock.move(100)
    with visitor.request() as session:
        session.set_lifetime(lifetime=DAY, persistent=True)
    assert max_age(visitor) == str(DAY - 100)
    with visitor.request() as session:
        session.set_lifetime(persistent=False)
    assert max_age(visitor) is None


def test_max_age_is_for_sessions_that_set_nothing(kit: Kit) -> None:
    visitor = begin(kit, max_age="43200")
    assert max_age(visitor) == "43200"
    with visitor.request() as session:
        session.set_lifetime(lifetime=DAY)
    assert max_age(visitor) == str(DAY)
    with visitor.request() as session:
        session.set_lifetime(persistent=False)
    assert max_age(visitor) is None


def test_a_persistent_session_without_an_end_has_the_longest_cookie(kit: Kit) -> None:
    settings = {"lifetime": "none", "max_lifetime": "none"} if kit.on_a_server else {}
    visitor = begin(kit, None, **settings)
    with visitor.request() as session:
        session.set_lifetime(persistent=True)
    assert max_age(visitor) == str(400 * DAY)


def test_it_needs_a_cookie_that_can_still_be_sent(kit: Kit) -> None:
    session = begin(kit).open().session
    session.headers_sent()

    def change() -> None:
        session.set_lifetime(persistent=True)
        session.save()

    with pytest.raises(HeadersSentError):
        change()


def test_the_end_that_is_told_is_the_nearer_one(kit: Kit) -> None:
    with begin(kit, timeout="1200").request() as session:
        session.set_lifetime(timeout=None, lifetime=HOUR)
        assert session.expires_at == kit.clock.now + timedelta(hours=1)
        session.set_lifetime(timeout=60)
        assert session.expires_at == kit.clock.now + timedelta(seconds=60)


class TestOnAServer:
    pytestmark = on_servers

    def test_a_longer_lifetime_gives_a_new_token_and_a_shorter_one_none(self, kit: Kit) -> None:
        visitor = begin(kit)
        cookies = dict(visitor.cookies)
        with visitor.request() as session:
            session.set_lifetime(lifetime=HOUR, timeout=DAY)
        assert visitor.cookies == cookies
        with visitor.request() as session:
            session.set_lifetime(lifetime=2 * HOUR)
        assert visitor.cookies != cookies

    def test_requests_under_way_keep_their_session_meanwhile(self, kit: Kit) -> None:
        visitor = begin(kit)
        other = visitor.open()
        with visitor.request() as session:
            session.set_lifetime(lifetime=DAY, persistent=True)
        assert other.session["a"] == 1
        other.session["b"] = 2
        type(visitor)(visitor.factory).close(other)
        assert dict(visitor.open().session) == {"a": 1, "b": 2}

    def test_the_next_cookie_has_what_remains(self, kit: Kit) -> None:
        visitor = begin(kit, renewal_time="3600", timeout="none")
        with visitor.request() as session:
            session.set_lifetime(lifetime=DAY, persistent=True)
        kit.clock.move(2 * HOUR)
        with visitor.request():
            pass
        assert max_age(visitor) == str(DAY - 2 * HOUR)

    def test_more_than_max_lifetime_is_refused(self, kit: Kit) -> None:
        session = kit.visitor().open().session
        session.set_lifetime(lifetime=30 * DAY)
        with pytest.raises(ValueError, match=r"session\.max_lifetime allows 2592000"):
            session.set_lifetime(lifetime=30 * DAY + 1)

    def test_a_max_lifetime_that_was_lowered_holds_at_once(self, kit: Kit) -> None:
        visitor = begin(kit, max_lifetime="864000")
        with visitor.request() as session:
            session.set_lifetime(timeout=None, lifetime=10 * DAY, persistent=True)
        kit.clock.move(2 * DAY)
        assert is_open(visitor)
        visitor.factory = kit.factory(max_lifetime=str(DAY))
        assert not is_open(visitor)

    def test_no_lifetime_is_bounded_by_max_lifetime(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.set_lifetime(timeout=None, lifetime=None)
        kit.clock.move(30 * DAY - 1)
        assert is_open(visitor)
        kit.clock.move(1)
        assert not is_open(visitor)

    def test_new_timeout_is_not_for_a_session_with_an_owner(self, kit: Kit) -> None:
        visitors = [kit.visitor(new_timeout="60") for _ in range(2)]
        for visitor, owner in zip(visitors, (None, "user:42"), strict=True):
            with visitor.request() as session:
                session["a"] = 1
                session.owner = owner
        kit.clock.move(61)
        assert [is_open(visitor) for visitor in visitors] == [False, True]

    def test_it_is_kept_in_the_row(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.set_lifetime(timeout=60, lifetime=None, persistent=False)
        record = stored(kit, visitor)
        assert record is not None
        assert (record.timeout, record.lifetime, record.persistent) == (60, 0, False)
