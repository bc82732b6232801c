"""Whose a session is: `owner`, `label`, `login` and `logout`, the same with every factory."""

from typing import Any

import pytest

from sessionsite.sessions import RESERVED_OWNER, LoginHelper, login, logout
from tests.contract.kit import Kit, begin, data_of, log_in, on_servers, stored


def owner_of(visitor: Any) -> tuple[str | None, str | None]:
    session = visitor.open().session
    return session.owner, session.label


class TestOwner:
    def test_a_session_is_nobodys_until_somebody_owns_it(self, kit: Kit) -> None:
        visitor = begin(kit)
        assert owner_of(visitor) == (None, None)
        with visitor.request() as session:
            session.owner = "user:42"
            session.label = "Firefox on Debian"
            assert (session.owner, session.label) == ("user:42", "Firefox on Debian")
        assert owner_of(visitor) == ("user:42", "Firefox on Debian")
        assert data_of(visitor) == {"a": 1}
        with visitor.request() as session:
            session.owner = session.label = None
        assert owner_of(visitor) == (None, None)

    def test_it_is_reason_enough_to_keep_a_session(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session.owner = "user:42"
        session = visitor.open().session
        assert (session.owner, session.new, dict(session)) == ("user:42", False, {})

    def test_what_is_set_as_it_was_is_no_change(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.owner = "user:42"
        with visitor.request() as session:
            session.owner = "user:43"
            session.owner = "user:42"
            session.label = None
        assert visitor.set_cookie == []

    def test_every_text_of_200_characters_comes_back(self, kit: Kit) -> None:
        for text in ("x" * 200, "é" * 200, "\U0001f600\u202e'\"; --\n", " ", "None", "{}", '","'):
            visitor = begin(kit)
            with visitor.request() as session:
                session.owner = session.label = text
            assert owner_of(visitor) == (text, text)

    @pytest.mark.parametrize(
        "wrong", [42, b"user:42", ["user:42"], "x" * 201, "\0", "\ud800", "a\udfffb", True]
    )
    def test_what_no_database_keeps_is_refused_at_once(self, kit: Kit, wrong: Any) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            for name in ("owner", "label"):
                with pytest.raises((TypeError, ValueError), match=rf"session\.{name}"):
                    setattr(session, name, wrong)
        assert owner_of(visitor) == (None, None)

    def test_the_owner_of_rows_that_are_no_sessions_is_refused(self, kit: Kit) -> None:
        with pytest.raises(ValueError, match="no sessions"):
            kit.visitor().open().session.owner = RESERVED_OWNER

    def test_an_empty_text_owns_nothing(self, kit: Kit) -> None:
        with pytest.raises(ValueError, match="no owner"):
            kit.visitor().open().session.owner = ""

    def test_it_goes_with_the_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.owner = "user:42"
        with visitor.request() as session:
            session.invalidate()
            assert session.owner is None
            session["b"] = 2
        assert owner_of(visitor) == (None, None)

    def test_it_stays_through_every_rotation(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.owner = "user:42"
        for _ in range(3):
            with visitor.request() as session:
                session.regenerate()
        assert owner_of(visitor) == ("user:42", None)

    def test_reload_drops_what_is_not_stored(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.owner = "user:42"
            session.reload()
            assert session.owner is None
        assert owner_of(visitor) == (None, None)

    def test_it_is_stored_with_what_transact_stores(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session["b"] = 2
            session.owner = "user:42"
            session.transact(lambda s: s.update(c=s["b"] + 1))
        assert data_of(visitor) == {"a": 1, "b": 2, "c": 3}
        assert owner_of(visitor) == ("user:42", None)

    def test_it_is_not_changed_inside_the_change_of_transact(self, kit: Kit) -> None:
        visitor = begin(kit)

        def change(session: Any) -> None:
            session.owner = "user:42"

        with visitor.request() as session:
            with pytest.raises(RuntimeError, match=r"session\.owner inside the change"):
                session.transact(change)
            with pytest.raises(RuntimeError, match=r"session\.set_lifetime\(\) inside"):
                session.transact(lambda s: s.set_lifetime(timeout=60))
        assert owner_of(visitor) == (None, None)

    @on_servers
    def test_parallel_changes_of_owner_label_and_data_are_all_kept(self, kit: Kit) -> None:
        visitor = begin(kit)
        requests = [visitor.open() for _ in range(4)]
        requests[0].session.owner = "user:42"
        requests[1].session.label = "here"
        requests[2].session["b"] = 2
        requests[3].session["c"] = 3
        for request in requests:
            visitor.close(request)
        assert owner_of(visitor) == ("user:42", "here")
        assert data_of(visitor) == {"a": 1, "b": 2, "c": 3}

    @on_servers
    def test_of_two_owners_the_later_one_is_kept(self, kit: Kit) -> None:
        visitor = begin(kit)
        first, second, other = visitor.open(), visitor.open(), visitor.open()
        first.session.owner = "user:1"
        second.session.owner = "user:2"
        other.session["b"] = 2
        for request in (first, second, other):
            visitor.close(request)
        assert owner_of(visitor) == ("user:2", None)

    @on_servers
    def test_it_is_no_part_of_the_payload(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.owner = "user:42"
        record = stored(kit, visitor)
        assert record is not None
        assert (record.owner, record.payload) == ("user:42", '{"a":1}')


class TestLogin:
    def test_it_gives_the_session_an_owner_and_a_new_csrf_token(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            before = session.get_csrf_token()
            id_ = session.id
        cookies = dict(visitor.cookies)
        log_in(visitor, "user:42")
        session = visitor.open().session
        assert (session.owner, session.id, session["a"]) == ("user:42", id_, 1)
        assert session.get_csrf_token() != before
        assert visitor.cookies != cookies

    @on_servers
    def test_the_cookie_before_it_opens_nothing(self, kit: Kit) -> None:
        """Session fixation: who has planted or copied a cookie has nothing after the login."""
        visitor = begin(kit)
        thief = type(visitor)(visitor.factory, **visitor.cookies)
        log_in(visitor, "user:42")
        session = thief.open().session
        assert (session.owner, session.new, dict(session)) == (None, True, {})

    @on_servers
    def test_it_is_stored_when_it_returns(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        login(request, "user:42")
        record = kit.store.load(request.session.id, kit.clock.now)
        assert record.owner == "user:42"

    def test_another_owner_gets_nothing_of_the_owner_before(self, kit: Kit) -> None:
        visitor = begin(kit)
        log_in(visitor, "user:1")
        with visitor.request() as session:
            session["secret"] = "of user:1"
            before = session.id
        log_in(visitor, "user:2")
        session = visitor.open().session
        assert (session.owner, dict(session)) == ("user:2", {})
        assert session.id != before

    def test_the_same_owner_again_keeps_the_data(self, kit: Kit) -> None:
        visitor = begin(kit)
        for _ in range(2):
            log_in(visitor, "user:1")
        assert data_of(visitor) == {"a": 1}

    @on_servers
    def test_a_double_click_logs_in_twice(self, kit: Kit) -> None:
        visitor = begin(kit)
        first, second = visitor.open(), visitor.open()
        login(first, "user:42")
        login(second, "user:42")
        other = type(visitor)(visitor.factory)
        other.close(first)
        visitor.close(second)
        assert owner_of(visitor)[0] == "user:42"

    @on_servers
    def test_a_login_whose_answer_was_lost_can_be_tried_again(self, kit: Kit) -> None:
        visitor = begin(kit)
        lost = visitor.open()
        login(lost, "user:42")
        kit.clock.move(1)
        log_in(visitor, "user:42")
        assert owner_of(visitor)[0] == "user:42"

    def test_logout_ends_the_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        log_in(visitor, "user:42")
        request = visitor.open()
        logout(request)
        visitor.close(request)
        assert visitor.cookies == {}
        assert owner_of(visitor) == (None, None)

    def test_logout_of_nobody_is_no_error(self, kit: Kit) -> None:
        visitor = kit.visitor()
        request = visitor.open()
        logout(request)
        visitor.close(request)
        assert visitor.set_cookie == []

    def test_remember_me_lasts_and_the_browser_keeps_it(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200")
        log_in(visitor, "user:42", lifetime=7 * 86400)
        assert "Max-Age=604800" in visitor.set_cookie[-1]
        kit.clock.move(7 * 86400 - 1)
        assert owner_of(visitor)[0] == "user:42"
        kit.clock.move(1)
        assert owner_of(visitor) == (None, None)

    def test_remember_me_is_counted_from_the_login(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="7200")
        kit.clock.move(7000)
        log_in(visitor, "user:42", lifetime=3600)
        assert "Max-Age=3600" in visitor.set_cookie[-1]
        kit.clock.move(3599)
        assert owner_of(visitor)[0] == "user:42"
        kit.clock.move(1)
        assert owner_of(visitor) == (None, None)

    @on_servers
    def test_it_is_remembered_no_longer_than_any_session(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="7200")
        kit.clock.move(7000)
        log_in(visitor, "user:42", lifetime=30 * 86400)
        assert f"Max-Age={30 * 86400 - 7000}" in visitor.set_cookie[-1]

    def test_a_login_without_a_lifetime_is_not_remembered_any_more(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200")
        for days, lifetime in ((0, 30 * 86400), (20, None)):
            kit.clock.move(days * 86400)
            log_in(visitor, "user:42", lifetime)
        assert "Max-Age" not in visitor.set_cookie[-1]
        session = visitor.open().session
        assert (session.owner, dict(session), session.has_own_lifetime) == (
            "user:42", {"a": 1}, False,
        )  # fmt: skip
        kit.clock.move(1201)
        assert owner_of(visitor) == (None, None)

    def test_it_keeps_the_label_that_is_set_before_it(self, kit: Kit) -> None:
        visitor = kit.visitor()
        for lifetime in (None, 86400, None):
            log_in(visitor, "user:1", lifetime, label="Firefox")
            session = visitor.open().session
            assert (session.owner, session.label) == ("user:1", "Firefox")

    @pytest.mark.parametrize(
        ("owner", "lifetime"),
        [("", None), (None, None), (42, None), ("x" * 201, None), ("user:2", 0), ("user:2", -1),
         ("user:2", "60"), ("user:2", 10**10)],
    )  # fmt: skip
    def test_a_login_that_fails_changes_nothing(self, kit: Kit, owner: Any, lifetime: Any) -> None:
        visitor = begin(kit)
        log_in(visitor, "user:1")
        cookies = dict(visitor.cookies)
        request = visitor.open()
        with pytest.raises((TypeError, ValueError)):
            login(request, owner, lifetime)
        visitor.close(request)
        assert visitor.cookies == cookies
        assert owner_of(visitor)[0] == "user:1"

    def test_the_helper_of_a_security_policy_does_the_same(self, kit: Kit) -> None:
        helper = LoginHelper()
        visitor = begin(kit)
        request = visitor.open()
        assert helper.authenticated_userid(request) is None
        assert list(helper.remember(request, "user:42", foo=1)) == []
        visitor.close(request)
        request = visitor.open()
        assert helper.authenticated_userid(request) == "user:42"
        assert list(helper.forget(request)) == []
        assert helper.authenticated_userid(request) is None
        visitor.close(request)
        assert visitor.cookies == {}
