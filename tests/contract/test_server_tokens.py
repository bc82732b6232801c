"""Theft is seen, and a lost answer is no theft: what a token is once another has replaced it."""

import logging
from typing import Any

import pytest

from tests.contract.kit import Kit, begin, data_of, on_servers, stored
from tests.harness.visitor import Visitor

pytestmark = on_servers
RENEWED = {"renewal_time": "600", "renewal_grace": "30", "timeout": "7200"}


def copy_of(visitor: Visitor) -> Visitor:
    """A browser with the same cookies: an old one of the visitor's, or a thief's."""
    return Visitor(visitor.factory, **visitor.cookies)


def visit(visitor: Visitor) -> None:
    with visitor.request():
        pass


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.levelno == logging.WARNING and "may be stolen" in r.getMessage()
    ]


def test_no_token_shows_in_a_repr(kit: Kit) -> None:
    visitor = begin(kit)
    factory: Any = visitor.factory
    (credentials,) = factory.cookie.read(visitor.open())
    assert repr(credentials) == f"<Credentials of session {credentials.id}>"


class TestTheft:
    def test_cs_strict_a_thief_who_renews_first_is_seen_at_the_owners_next_request(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        owner = begin(kit, None, **RENEWED)
        thief = copy_of(owner)
        kit.clock.move(600)
        visit(thief)
        visit(thief)  # the new token is presented
        kit.clock.move(30)
        record = stored(kit, thief)
        assert record
        assert alarms(caplog) == []
        assert owner.open().session.new
        (line,) = alarms(caplog)
        assert record.id in line

    def test_cs_strict_a_thief_is_seen_at_his_own_next_request_once_the_owner_has_renewed(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        owner = begin(kit, None, **RENEWED)
        thief = copy_of(owner)
        kit.clock.move(600)
        visit(owner)
        visit(owner)
        kit.clock.move(30)
        assert thief.open().session.new
        assert len(alarms(caplog)) == 1
        assert data_of(owner) == {"a": 1}

    def test_cs_strict_a_token_from_several_rotations_ago_is_seen(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        owner = begin(kit, None, **RENEWED)
        thief = copy_of(owner)
        for _ in range(3):
            kit.clock.move(600)
            visit(owner)
            visit(owner)
        kit.clock.move(31)
        assert thief.open().session.new
        assert len(alarms(caplog)) == 1

    @pytest.mark.parametrize("thief_first", [True, False])
    def test_cs_strict_whoever_comes_after_the_other_was_taken_for_a_lost_answer_is_seen(
        self, kit: Kit, caplog: pytest.LogCaptureFixture, thief_first: bool
    ) -> None:
        """The new token arrives, but the old one is the first to come once the grace is over."""
        owner = begin(kit, None, on_reuse="end", **RENEWED)
        thief = copy_of(owner)
        first, second = (thief, owner) if thief_first else (owner, thief)
        kit.clock.move(600)
        visit(first)
        kit.clock.move(30)
        assert data_of(second) == {"a": 1}  # as if the first one's answer had been lost
        kit.clock.move(29)
        assert first.open().session.new
        assert alarms(caplog) == []
        kit.clock.move(1)
        assert first.open().session.new
        assert len(alarms(caplog)) == 1
        assert second.open().session.new

    def test_cs_strict_a_token_from_before_a_login_is_seen_after_a_minute(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        owner = begin(kit)
        thief = copy_of(owner)
        with owner.request() as session:
            session.regenerate()
        visit(owner)
        kit.clock.move(59)
        assert thief.open().session.new
        assert alarms(caplog) == []
        kit.clock.move(1)
        assert thief.open().session.new
        assert len(alarms(caplog)) == 1

    def test_ignore_leaves_the_session_alone(self, kit: Kit) -> None:
        owner = begin(kit)
        thief = copy_of(owner)
        with owner.request() as session:
            session.regenerate()
        visit(owner)
        kit.clock.move(61)
        visit(thief)
        assert data_of(owner) == {"a": 1}

    def test_end_ends_the_session_for_both(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        owner = begin(kit, None, on_reuse="end", **RENEWED)
        thief = copy_of(owner)
        kit.clock.move(600)
        visit(thief)
        visit(thief)
        kit.clock.move(30)
        assert owner.open().session.new
        assert thief.open().session.new
        assert "ended (reused token)" in caplog.text

    def test_one_that_the_owner_renews_under_the_alarm_goes_on(
        self, kit: Kit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = begin(kit, None, on_reuse="end", **RENEWED)
        thief = copy_of(owner)
        kit.clock.move(600)
        visit(owner)
        visit(owner)
        kit.clock.move(600)
        update = kit.store.update

        def renew_first(*args: Any) -> Any:
            monkeypatch.undo()
            visit(owner)
            return update(*args)

        monkeypatch.setattr(kit.store, "update", renew_first)
        assert thief.open().session.new
        assert data_of(owner) == {"a": 1}

    def test_a_cookie_that_opens_the_session_in_the_same_request_is_no_theft(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As after a change of session.path: the browser sends an old cookie, too."""
        owner = begin(kit, on_reuse="end")
        stale = owner.cookies["sessionsite"]
        with owner.request() as session:
            session.regenerate()
        visit(owner)
        kit.clock.move(61)
        new = owner.cookies["sessionsite"]
        header = f"sessionsite={stale}; sessionsite={new}"
        assert owner.open(HTTP_COOKIE=header).session == {"a": 1}
        assert alarms(caplog) == []
        assert data_of(owner) == {"a": 1}

    def test_of_two_tokens_of_one_session_the_current_one_counts(self, kit: Kit) -> None:
        """As after a change of session.path to a longer one: the browser sends the old one last."""
        visitor = begin(kit, None, **RENEWED)
        stale = visitor.cookies["sessionsite"]
        kit.clock.move(600)
        visit(visitor)
        new = visitor.cookies["sessionsite"]
        for header in (f"sessionsite={new}; sessionsite={stale}", f"sessionsite={new}"):
            assert visitor.open(HTTP_COOKIE=header).session == {"a": 1}
            visitor.open(HTTP_COOKIE=header).session.save()
            record = stored(kit, visitor)
            assert record
            assert record.token_confirmed
            kit.clock.move(30)


def test_a_token_from_before_the_last_one_opens_nothing_in_the_grace_either(kit: Kit) -> None:
    visitor = begin(kit, renewal_time="100", renewal_grace="60")
    first = copy_of(visitor)
    with visitor.request() as session:
        session.regenerate()
    second = copy_of(visitor)
    kit.clock.move(100)
    visit(visitor)
    assert visitor.cookies != second.cookies
    assert second.open().session == {"a": 1}  # renewed by time alone
    assert first.open().session == {}


@pytest.mark.parametrize("rotation", ["regenerate", "renewal"])
def test_an_expired_session_is_opened_by_none_of_its_tokens(kit: Kit, rotation: str) -> None:
    visitor = begin(kit, renewal_time="700", renewal_grace="699", timeout="600")
    old = copy_of(visitor)
    kit.clock.move(400)
    visit(visitor)
    kit.clock.move(300 if rotation == "renewal" else 0)
    with visitor.request() as session:
        if rotation == "regenerate":
            session.regenerate()
    assert visitor.cookies != old.cookies
    kit.clock.move(600)
    for each in (old, visitor):
        assert each.open().session.new
        assert dict(each.open().session) == {}


def test_a_cookie_that_opens_nothing_leaves_a_line_that_says_why(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor = begin(kit, timeout="600")
    old = copy_of(visitor)
    with visitor.request() as session:
        session.regenerate()
    caplog.clear()
    assert old.open().session == {}
    assert f"{session.id}: a cookie with a token that was replaced" in caplog.text
    kit.clock.move(600)
    assert visitor.open().session.new
    assert f"session {session.id}, which has ended" in caplog.text


class TestLostAnswers:
    def test_a_renewal_whose_answer_is_lost_costs_the_visitor_nothing(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = begin(kit, None, on_reuse="end", **RENEWED)
        for _ in range(5):
            kit.clock.move(600)
            visitor.open().session.save()  # renewed, and the answer never arrives
        with visitor.request() as session:
            assert session == {"a": 1}
        kit.clock.move(31)
        assert visitor.set_cookie == []  # within the grace of the last one
        with visitor.request() as session:
            assert session == {"a": 1}
        assert len(visitor.set_cookie) == 1  # a token of its own
        kit.clock.move(31)
        assert data_of(visitor) == {"a": 1}
        assert alarms(caplog) == []

    def test_a_login_whose_answer_is_lost_works_at_the_second_try(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = begin(kit, on_reuse="end")
        lost = visitor.open()
        lost.session["user"] = "u"
        lost.session.regenerate()
        lost.session.save()
        for second in (1, 100):
            kit.clock.move(second)
            again = copy_of(visitor)
            with again.request() as session:
                assert "user" not in session  # the old token opens nothing of the old session
                session["user"] = "u"
                session.regenerate()
            assert len(again.set_cookie) == 1
            assert data_of(again) == {"user": "u"}
        assert alarms(caplog) == []

    def test_a_logout_whose_answer_is_lost_works_at_the_second_try(self, kit: Kit) -> None:
        visitor = begin(kit)
        lost = visitor.open()
        lost.session.invalidate()
        lost.session.save()
        with visitor.request() as session:
            assert session.new
            session.invalidate()
            session["message"] = "goodbye"
        assert data_of(visitor) == {"message": "goodbye"}

    def test_what_is_put_into_a_replaced_session_without_a_login_is_not_kept(
        self, kit: Kit
    ) -> None:
        """Its answer would take the newer cookie away from the browser."""
        visitor = begin(kit)
        late = copy_of(visitor)
        with visitor.request() as session:
            session.regenerate()
        with late.request() as session:
            session["n"] = 1
        assert late.set_cookie == []

    @pytest.mark.parametrize("first", ["regenerate", "renewal"])
    def test_a_token_from_two_rotations_ago_is_late_too(self, kit: Kit, first: str) -> None:
        """As when a request renews the token, or a first click logs in, beside the login."""
        visitor = begin(kit, None, **RENEWED)
        late = copy_of(visitor)
        if first == "renewal":
            kit.clock.move(600)
        login, parallel = visitor.open(), visitor.open()
        if first == "regenerate":
            parallel.session.regenerate()
        parallel.session.save()
        login.session.regenerate()
        visitor.close(login)
        with late.request() as session:
            session["n"] = 1
        assert late.set_cookie == []

    def test_transact_right_after_a_rotation_is_as_any_other_change(self, kit: Kit) -> None:
        visitor = begin(kit)
        late = copy_of(visitor)
        with visitor.request() as session:
            session.regenerate()
        with late.request() as session:
            assert session.transact(lambda s: s.setdefault("n", 7)) == 7
            assert session == {"n": 7}
        assert late.set_cookie == []
        assert data_of(visitor) == {"a": 1}


class TestConfirmation:
    def test_it_takes_one_write_per_rotation(self, kit: Kit) -> None:
        visitor = begin(kit)
        versions = []
        with visitor.request() as session:
            session.regenerate()
        for _ in range(4):
            record = stored(kit, visitor)
            assert record
            versions.append((record.version, record.token_confirmed))
            visit(visitor)
        assert versions == [(2, False), (3, True), (3, True), (3, True)]

    def test_a_save_of_something_else_confirms_as_well(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.regenerate()
        with visitor.request() as session:
            session["b"] = 2
        record = stored(kit, visitor)
        assert record
        assert (record.version, record.token_confirmed) == (3, True)

    def test_a_merge_confirms_the_token_of_the_request_and_no_other(self, kit: Kit) -> None:
        visitor = begin(kit)
        slow = visitor.open()
        with visitor.request() as session:
            session.regenerate()
        slow.session["b"] = 2
        visitor.close(slow)  # it merges, and has presented the token before
        record = stored(kit, visitor)
        assert record
        assert (record.version, record.token_confirmed) == (3, False)


class TestNewSessions:
    def test_bounds_one_whose_cookie_never_comes_back_ends_early(self, kit: Kit) -> None:
        bot = begin(kit, new_timeout="60", timeout="1200")
        kit.clock.move(60)
        assert stored(kit, bot) is None

    def test_bounds_one_whose_cookie_comes_back_lives_on(self, kit: Kit) -> None:
        visitor = begin(kit, new_timeout="60", timeout="1200")
        kit.clock.move(59)
        visit(visitor)
        kit.clock.move(1199)
        assert data_of(visitor) == {"a": 1}

    def test_bounds_a_rotation_makes_no_session_new_again(self, kit: Kit) -> None:
        visitor = begin(kit, new_timeout="60", timeout="1200")
        visit(visitor)
        with visitor.request() as session:
            session.regenerate()
        kit.clock.move(1199)
        assert data_of(visitor) == {"a": 1}


class TestLifetimes:
    def test_asvs_7_3_2_a_lowered_lifetime_ends_older_sessions_at_once(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="none", lifetime="86400")
        kit.clock.move(3600)
        assert data_of(visitor) == {"a": 1}
        lowered = Visitor(kit.factory(timeout="none", lifetime="3600"), **visitor.cookies)
        assert lowered.open().session.new
