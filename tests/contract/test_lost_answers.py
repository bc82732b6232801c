"""A lost answer is no lock-out, with CSRF checks: the next try with the old cookie works."""

import logging
from typing import Any

import pytest
from pyramid.csrf import SessionCSRFStoragePolicy
from pyramid.interfaces import ISessionFactory

from sessionsite.sessions import Record
from tests.contract.accounts import Browser, accounts
from tests.contract.kit import Kit, on_servers
from tests.harness.visitor import Visitor

RENEWED = {"renewal_time": "600", "renewal_grace": "30", "timeout": "7200", "on_reuse": "end"}


def first_page(kit: Kit, policy: Any = None, **settings: str) -> Browser:
    """A browser that has the login form before it."""
    browser = Browser(accounts(kit.factory(**settings), policy))
    browser.show()
    return browser


def logged_in(kit: Kit, **settings: str) -> Browser:
    browser = first_page(kit, **settings)
    assert browser.post("/login").status_int == 303
    browser.show()
    return browser


def test_the_documented_login_and_logout_work(kit: Kit) -> None:
    browser = logged_in(kit)
    assert browser.user() == "anna"
    assert browser.post("/logout").status_int == 303
    assert browser.user() is None


def test_a_form_of_before_the_login_is_worth_nothing_after_it(kit: Kit) -> None:
    browser = first_page(kit)
    before = browser.token
    browser.post("/login")
    browser.token = before
    assert browser.post("/note", text="x").status_int == 400
    assert "notes" not in browser.data()


def stored_row(kit: Kit, id: str) -> Record:
    record = kit.store.load(id, kit.clock.now)
    assert isinstance(record, Record)
    return record


POLICIES = pytest.mark.parametrize("policy", [None, SessionCSRFStoragePolicy()], ids=["own", "key"])


@on_servers
class TestLogin:
    @POLICIES
    @pytest.mark.parametrize("anew", [False, True], ids=["same-form", "form-anew"])
    @pytest.mark.parametrize("pause", [1, 59, 61, 1100])
    def test_it_works_however_long_the_visitor_waits(
        self, kit: Kit, policy: Any, anew: bool, pause: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        browser = first_page(kit, policy, on_reuse="end")
        ids = set()
        for _ in range(3):
            answer = browser.post("/login", lost=True)
            assert answer.status_int == 303
            other = browser.copy()
            other.take(answer)
            ids.add(other.cookie)
        assert len(ids) == 3
        assert browser.user() is None
        kit.clock.move(pause)
        if anew:
            browser.show()
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"
        assert "may be stolen" not in caplog.text

    def test_a_copied_cookie_is_reported_and_a_login_works_all_the_same(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        browser = first_page(kit, on_reuse="end")
        copied = browser.copy()
        browser.post("/login")
        assert browser.user() == "anna"  # so the answer was not lost
        kit.clock.move(60)
        assert copied.post("/login").status_int == 303
        assert "may be stolen" in caplog.text
        assert (copied.user(), browser.user()) == ("anna", None)

    def test_the_old_token_opens_nothing_of_the_old_session(self, kit: Kit) -> None:
        browser = first_page(kit)
        browser.post("/note", text="of before")
        old = browser.copy()
        browser.post("/login")
        browser.show()
        assert old.data() == {}
        old.show()
        assert old.token != browser.token
        assert old.data() == {}
        assert (
            old._send("GET", "/read", True).json["id"]
            != (browser._send("GET", "/read", True).json["id"])
        )

    def test_a_late_request_of_the_old_form_is_told_nothing(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its answer would take the new cookie away from the browser."""
        caplog.set_level(logging.INFO)
        browser = first_page(kit)
        late = browser.copy()
        browser.post("/login")
        for answer in (late.post("/note", text="x"), late._send("GET", "/", True, page="form")):
            assert answer.status_int == 200
            assert "Set-Cookie" not in answer.headers
        assert browser.user() == "anna"
        assert "is not kept" in caplog.text

    def test_an_app_that_begins_anew_at_the_login(self, kit: Kit) -> None:
        """`invalidate()` deletes the row, so that nothing is left of the old session."""
        browser = first_page(kit)
        for _ in range(2):
            assert browser.post("/logout", lost=True).status_int == 303
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"

    @pytest.mark.parametrize("lost_too", [False, True])
    def test_a_login_after_a_renewal(self, kit: Kit, lost_too: bool) -> None:
        """The form was made under the token before the renewal."""
        browser = first_page(kit, None, **RENEWED)
        kit.clock.move(600)
        browser._send("GET", "/", lost_too)
        kit.clock.move(31)
        assert browser.post("/login", lost=True).status_int == 303
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"


@on_servers
class TestDoubleClicks:
    def test_a_click_that_comes_after_the_first_ones_answer(self, kit: Kit) -> None:
        browser = first_page(kit)
        second = browser.copy()
        browser.post("/login")
        answer = second.post("/login")
        assert answer.status_int == 303
        assert (browser.user(), second.user()) == ("anna", "anna")
        browser.take(answer)
        assert browser.user() == "anna"

    @pytest.mark.parametrize("pause", [1, 61])
    def test_both_at_once_and_whichever_answer_comes_last(self, kit: Kit, pause: int) -> None:
        browser = first_page(kit)
        factory: Any = browser.app.registry.queryUtility(ISessionFactory)
        update, second = factory.store.update, browser.copy()
        answers: list[Any] = []

        def between(*args: Any) -> Any:
            factory.store.update = update
            if not answers:  # both have loaded the session; after a conflict this is called again
                answers.append(second.post("/login"))
            return update(*args)

        factory.store.update = between
        try:
            answers.append(browser.post("/login"))
        finally:
            factory.store.update = update
        assert [answer.status_int for answer in answers] == [303, 303]
        assert browser.user() == "anna"
        for left in (second, first_page(kit)):  # the first cookie was replaced by the other click
            kit.clock.move(pause)
            left.show()
            assert left.post("/login").status_int == 303
            assert left.user() == "anna"


@on_servers
def test_of_two_forms_that_are_fetched_at_once_both_work(kit: Kit) -> None:
    """The first forms of a session: had each a token of its own, one would be lost."""
    visitor = kit.visitor()
    with visitor.request() as session:
        session["a"] = 1
    requests = [visitor.open(), visitor.open()]
    tokens = {request.session.get_csrf_token() for request in requests}
    for request in requests:
        visitor.close(request)
    assert tokens == {visitor.open().session.get_csrf_token()}


@on_servers
class TestLogout:
    def test_a_second_click_works_and_so_does_the_next_login(self, kit: Kit) -> None:
        browser = logged_in(kit)
        for _ in range(2):
            assert browser.post("/logout", lost=True).status_int == 303
        assert browser.user() is None
        browser.show()
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"

    def test_a_page_of_the_ended_session_has_another_token_from_then_on(self, kit: Kit) -> None:
        browser = logged_in(kit)
        before = browser.token
        browser.post("/logout", lost=True)
        browser.show()
        assert browser.token != before

    def test_a_forged_form_is_refused_as_ever(self, kit: Kit) -> None:
        browser = logged_in(kit)
        browser.post("/logout", lost=True)
        for token in ("", "forged", first_page(kit).token):
            browser.token = token
            assert browser.copy().post("/login").status_int == 400

    def test_an_unsigned_cookie_lets_no_form_pass(self, kit: Kit) -> None:
        browser = logged_in(kit)
        browser.cookie = browser.cookie[:-5]
        assert browser.post("/login").status_int == 400


@on_servers
class TestRenewal:
    @pytest.mark.parametrize("pause", [1, 31, 1000])
    def test_the_form_works_under_the_old_cookie(self, kit: Kit, pause: int) -> None:
        browser = logged_in(kit, **RENEWED)
        kit.clock.move(600)
        assert "Set-Cookie" in browser._send("GET", "/", True).headers
        kit.clock.move(pause)
        assert browser.post("/note", text="x").status_int == 200
        assert browser.data()["notes"] == ["x"]
        assert browser.user() == "anna"


def test_a_first_visit_whose_answer_is_lost_begins_again(kit: Kit) -> None:
    browser = Browser(accounts(kit.factory()))
    browser._send("GET", "/", True, page="form")
    browser.show()
    assert browser.post("/login").status_int == 303
    assert browser.user() == "anna"


@on_servers
class TestCarried:
    """The cookie carries a CSRF token only where it is not the one made from the token."""

    def size(self, kit: Kit, browser: Browser) -> int:
        return len(browser.cookie.partition("=")[2])

    def test_a_cookie_is_no_larger_for_it(self, kit: Kit) -> None:
        browser = first_page(kit)
        assert self.size(kit, browser) == 158
        browser.post("/login")
        browser.show()
        assert self.size(kit, browser) == 158

    def test_after_a_renewal_it_carries_the_one_of_the_forms(self, kit: Kit) -> None:
        browser = first_page(kit, **RENEWED)
        kit.clock.move(600)
        browser._send("GET", "/", False)
        assert self.size(kit, browser) > 158

    def test_a_renewal_in_the_request_that_began_the_session_gives_another_token(
        self, kit: Kit
    ) -> None:
        """A body that is sent for a long time, for example."""
        visitor = kit.visitor(renewal_time="60", renewal_grace="30")
        request = visitor.open()
        token = request.session.get_csrf_token()
        request.session.save()
        created = stored_row(kit, request.session.id)
        kit.clock.move(60)
        visitor.close(request)
        renewed = stored_row(kit, request.session.id)
        assert renewed.token_hash != created.token_hash
        assert renewed.old_token_hash == created.token_hash
        assert visitor.open().session.get_csrf_token() == token

    def test_one_that_was_made_after_the_cookie_works_in_a_form_fetched_anew(
        self, kit: Kit
    ) -> None:
        """As documented; so it is for cookies of an earlier version."""
        browser = Browser(accounts(kit.factory(), SessionCSRFStoragePolicy()))
        factory: Any = browser.app.registry.queryUtility(ISessionFactory)
        visitor = Visitor(factory)
        with visitor.request() as session:
            session["a"] = 1
        browser.cookie = f"sessionsite={visitor.cookies['sessionsite']}"
        browser.show()
        assert browser.post("/login", lost=True).status_int == 303
        assert browser.post("/login").status_int == 400
        browser.show()
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"

    def test_one_that_is_no_text_for_a_cookie_is_not_carried(self, kit: Kit) -> None:
        class Policy(SessionCSRFStoragePolicy):  # type: ignore[misc]  # untyped base
            _token_factory = staticmethod(lambda: "x" * 100)

        browser = first_page(kit, Policy())
        assert self.size(kit, browser) == 158
        assert browser.post("/login").status_int == 303
        assert browser.user() == "anna"
