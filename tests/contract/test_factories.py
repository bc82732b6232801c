"""The contract suite of session factories, bound to each: behaviour that any ISession has."""

from typing import Any

import pytest
from pyramid.interfaces import ISession
from pyramid.response import Response
from pyramid.testing import DummyRequest
from zope.interface.verify import verifyObject

from tests.contract.kit import Kit, data_of
from tests.harness.visitor import Visitor


def test_a_session_is_an_isession(kit: Kit) -> None:
    verifyObject(ISession, kit.visitor().open().session)


def test_a_new_session_is_empty_and_new(kit: Kit) -> None:
    session = kit.visitor().open().session
    assert (dict(session), session.new) == ({}, True)
    assert session.created == int(kit.clock.time())


def test_a_session_that_nothing_is_put_into_leaves_no_trace(kit: Kit) -> None:
    visitor = kit.visitor()
    with visitor.request() as session:
        assert "x" not in session
        assert session.peek_flash() == []
    assert visitor.set_cookie == []


def test_what_is_put_in_is_there_at_the_next_request(kit: Kit) -> None:
    visitor = kit.visitor()
    with visitor.request() as session:
        session["user"] = {"name": "Ann", "roles": ["a", "b"], "age": None}
    kit.clock.move(10)
    with visitor.request() as session:
        assert dict(session) == {"user": {"name": "Ann", "roles": ["a", "b"], "age": None}}
        assert session.new is False
        assert session.created == int(kit.clock.start.timestamp())
        assert type(session.created) is int


def test_each_visitor_has_a_session_of_their_own(kit: Kit) -> None:
    factory = kit.factory()
    ann, bob = Visitor(factory), Visitor(factory)
    for visitor, name in ((ann, "Ann"), (bob, "Bob")):
        with visitor.request() as session:
            session["name"] = name
    assert (data_of(ann), data_of(bob)) == ({"name": "Ann"}, {"name": "Bob"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.__setitem__("a", 2), {"a": 2, "b": [1]}),
        (lambda s: s.__delitem__("a"), {"b": [1]}),
        (lambda s: s.update(c=3), {"a": 1, "b": [1], "c": 3}),
        (lambda s: s.__ior__({"c": 3}), {"a": 1, "b": [1], "c": 3}),
        (lambda s: s.setdefault("c", 3), {"a": 1, "b": [1], "c": 3}),
        (lambda s: s.pop("a"), {"b": [1]}),
        (lambda s: s.popitem(), {"a": 1}),
        (lambda s: s.clear(), {}),
        (lambda s: (s["b"].append(2), s.changed()), {"a": 1, "b": [1, 2]}),
    ],
    ids=["set", "delete", "update", "ior", "setdefault", "pop", "popitem", "clear", "changed"],
)
def test_every_change_is_stored(kit: Kit, change: Any, expected: dict[str, Any]) -> None:
    visitor = kit.visitor()
    with visitor.request() as session:
        session.update({"a": 1, "b": [1]})
    with visitor.request() as session:
        change(session)
    assert data_of(visitor) == expected


def test_ior_by_its_operator_is_stored(kit: Kit) -> None:
    visitor = kit.visitor()
    request = visitor.open()
    request.session |= {"a": 1}
    visitor.close(request)
    assert data_of(visitor) == {"a": 1}


class TestFlash:
    def test_messages_wait_until_they_are_popped(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session.flash("one")
            session.flash("two")
            session.flash("else", "errors")
        with visitor.request() as session:
            assert session.peek_flash() == ["one", "two"]
        with visitor.request() as session:
            assert session.pop_flash() == ["one", "two"]
            assert session.pop_flash() == []
        with visitor.request() as session:
            assert session.pop_flash() == []
            assert session.pop_flash("errors") == ["else"]

    def test_a_duplicate_is_kept_unless_unwanted(self, kit: Kit) -> None:
        session = kit.visitor().open().session
        session.flash("m")
        session.flash("m")
        session.flash("m", allow_duplicate=False)
        assert session.pop_flash() == ["m", "m"]


class TestCSRFToken:
    def test_it_stays_the_same(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            token = session.get_csrf_token()
        with visitor.request() as session:
            assert session.get_csrf_token() == token

    def test_a_new_one_replaces_it(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            token = session.get_csrf_token()
        with visitor.request() as session:
            new = session.new_csrf_token()
        with visitor.request() as session:
            assert session.get_csrf_token() == new != token

    def test_no_two_sessions_share_one(self, kit: Kit) -> None:
        factory = kit.factory()
        tokens = {Visitor(factory).open().session.get_csrf_token() for _ in range(20)}
        assert len(tokens) == 20
        assert all(len(token) >= 22 for token in tokens)  # 128 bits, in base64 at best


class TestInvalidate:
    def test_the_data_is_gone_and_a_new_session_begins(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["secret"] = "of Ann's"
        kit.clock.move(5)
        with visitor.request() as session:
            session.invalidate()
            assert (dict(session), session.new) == ({}, True)
            assert session.created == int(kit.clock.time())
            session["message"] = "bye"
        with visitor.request() as session:
            assert dict(session) == {"message": "bye"}
            assert session.created == int(kit.clock.time())

    def test_a_session_that_stays_empty_takes_the_cookie_away(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
        with visitor.request() as session:
            session.invalidate()
        assert visitor.cookies == {}
        (header,) = visitor.set_cookie
        assert {"Max-Age=0", "Path=/", "secure"} <= set(header.split("; "))

    def test_ending_a_session_that_never_began_leaves_no_trace(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
            session.invalidate()
        assert visitor.set_cookie == []

    def test_the_session_after_it_shares_no_token(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            token = session.get_csrf_token()
        with visitor.request() as session:
            session.invalidate()
            assert session.get_csrf_token() != token


class TestExpiry:
    def test_asvs_7_3_1_an_idle_session_ends_with_the_timeout(self, kit: Kit) -> None:
        visitor = kit.visitor(timeout="90")
        with visitor.request() as session:
            session["a"] = 1
        kit.clock.move(89)
        cookies = dict(visitor.cookies)
        assert Visitor(visitor.factory, **cookies).open().session == {"a": 1}
        kit.clock.move(2)
        session = visitor.open().session
        assert (dict(session), session.new) == ({}, True)
        assert session.created == int(kit.clock.time())

    def test_visits_keep_it_alive_far_past_the_timeout(self, kit: Kit) -> None:
        visitor = kit.visitor(timeout="90", reissue_time="20")
        with visitor.request() as session:
            session["a"] = 1
        for _ in range(20):
            kit.clock.move(60)
            assert data_of(visitor) == {"a": 1}

    def test_without_a_timeout_it_never_ends(self, kit: Kit) -> None:
        no_limits = {"lifetime": "none"} if kit.on_a_server else {}
        visitor = kit.visitor(timeout="none", allow_insecure="endless", **no_limits)
        with visitor.request() as session:
            session["a"] = 1
        kit.clock.move(365 * 86400)
        assert data_of(visitor) == {"a": 1}


class TestErrors:
    def test_changes_of_a_failed_request_are_kept_by_default(self, kit: Kit) -> None:
        visitor = kit.visitor()
        request = visitor.open()
        request.session["a"] = 1
        request.exception = ZeroDivisionError()
        visitor.close(request)
        assert data_of(visitor) == {"a": 1}

    def test_they_are_dropped_without_set_on_exception(self, kit: Kit) -> None:
        visitor = kit.visitor(set_on_exception="false")
        request = visitor.open()
        request.session["a"] = 1
        request.exception = ZeroDivisionError()
        visitor.close(request)
        assert (data_of(visitor), visitor.cookies) == ({}, {})


def test_transact_changes_the_session_and_returns_the_result(kit: Kit) -> None:
    visitor = kit.visitor()
    with visitor.request() as session:
        session["n"] = 1
    with visitor.request() as session:
        assert session.transact(lambda s: s.__setitem__("n", s["n"] + 1) or s["n"]) == 2
    assert data_of(visitor) == {"n": 2}


class TestResponses:
    """Without our execution policy, as an app has it that sets the factory alone."""

    def put(self, request: Any, response: Response) -> None:
        request.session["n"] = request.session.get("n", 0) + 1

    @pytest.mark.parametrize("nested", [False, True])
    def test_what_a_later_callback_puts_in_is_stored(self, kit: Kit, nested: bool) -> None:
        def outer(request: Any, response: Response) -> None:
            request.add_response_callback(self.put)

        visitor = kit.visitor()
        for number in (1, 2):
            request = visitor.open()
            request.session.get("n")
            request.add_response_callback(outer if nested else self.put)
            visitor.close(request)
            assert len(visitor.set_cookie) == (number == 1 or not kit.on_a_server)
            assert data_of(visitor) == {"n": number}

    def test_two_sessions_of_one_request_do_not_wait_for_each_other(self, kit: Kit) -> None:
        visitor = kit.visitor()
        request = visitor.open()
        other = visitor.factory(request)
        other["other"] = request.session["one"] = 1
        visitor.close(request)
        assert data_of(visitor) in ({"one": 1}, {"other": 1})

    def test_a_response_says_that_it_depends_on_the_cookie(self, kit: Kit) -> None:
        for own, sent in ((None, "private, no-store"), ("private, max-age=60",) * 2):
            visitor = kit.visitor()
            request = visitor.open()
            request.session["a"] = 1
            response = visitor.close(request, cache_control=own)
            assert response.headers["Cache-Control"] == sent
            assert response.headers["Vary"] == "Cookie"

    def test_a_request_of_a_unit_test_will_do(self, kit: Kit) -> None:
        request = DummyRequest()
        request.session = kit.visitor().factory(request)
        request.session["a"] = 1
        response = Response()
        request._process_response_callbacks(response)
        request._process_finished_callbacks()
        assert len(response.headers.getall("Set-Cookie")) == 1
