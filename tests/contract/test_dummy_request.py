"""The behaviours of Pyramid's own session tests, under its DummyRequest, with every factory.

That request has neither `exception` nor `scheme`, and its cookies are a dict.
"""

from typing import Any

import pytest
from pyramid.interfaces import ISession
from pyramid.response import Response
from pyramid.testing import DummyRequest
from zope.interface.verify import verifyObject

from tests.contract.kit import Kit

NAME = "sessionsite"


def respond(request: Any) -> Response:
    """What Pyramid's tests do with the callbacks of a request."""
    response = Response()
    (callback,) = request.response_callbacks
    assert callback(request, response) is None
    return response


def cookie_with(factory: Any, **data: Any) -> str:
    request = DummyRequest()
    factory(request).update(data)
    header: str = respond(request).headers["Set-Cookie"]
    return header.partition(";")[0].partition("=")[2]


def session_of(factory: Any, cookie: Any, **attributes: Any) -> Any:
    return factory(DummyRequest(cookies={NAME: cookie}, **attributes))


def test_no_cookie_is_an_empty_session(kit: Kit) -> None:
    session = kit.factory()(DummyRequest())
    assert (dict(session), session.new) == ({}, True)
    verifyObject(ISession, session)


@pytest.mark.parametrize("encode", [str, str.encode], ids=["str", "bytes"])
def test_a_cookie_opens_its_session(kit: Kit, encode: Any) -> None:
    factory = kit.factory()
    session = session_of(factory, encode(cookie_with(factory, state=1)))
    assert (dict(session), session.new) == ({"state": 1}, False)


@pytest.mark.parametrize("wrong", ["bad", "", "=", "x" * 300, "é", "\udcff"])
def test_a_cookie_that_is_none_opens_nothing(kit: Kit, wrong: str) -> None:
    assert dict(session_of(kit.factory(), wrong)) == {}


def test_a_cookie_of_another_secret_opens_nothing(kit: Kit) -> None:
    value = cookie_with(kit.factory(secret="qWx2zR7vT9kLmN4bP6sD8fG1hJ3cY5uE0oAiZeXw"), a=1)
    assert dict(session_of(kit.factory(), value)) == {}


def test_one_that_has_timed_out_opens_nothing(kit: Kit) -> None:
    factory = kit.factory(timeout="100")
    value = cookie_with(factory, a=1)
    kit.clock.move(101)
    assert dict(session_of(factory, value)) == {}


def test_a_header_counts_before_the_dict(kit: Kit) -> None:
    factory = kit.factory()
    value = cookie_with(factory, a=1)
    request = DummyRequest(cookies={NAME: "other"}, environ={"HTTP_COOKIE": f"{NAME}={value}"})
    assert dict(factory(request)) == {"a": 1}


def test_changed_and_invalidate_return_nothing(kit: Kit) -> None:
    session = kit.factory()(DummyRequest())
    session["a"] = 1
    assert session.changed() is None
    assert session.invalidate() is None
    assert "a" not in session


def test_a_change_sets_the_cookie(kit: Kit) -> None:
    request = DummyRequest()
    kit.factory(domain="example.com", path="/shop")(request)["a"] = 1
    header = respond(request).headers["Set-Cookie"]
    assert header.startswith(f"{NAME}=")
    assert {"Path=/shop", "Domain=example.com", "secure", "HttpOnly"} <= set(header.split("; "))


@pytest.mark.parametrize("secure", ["true", "false"])
def test_it_is_as_secure_as_it_says(kit: Kit, secure: str) -> None:
    request = DummyRequest()
    kit.factory(secure=secure)(request)["a"] = 1
    assert ("secure" in respond(request).headers["Set-Cookie"]) is (secure == "true")


def test_auto_takes_it_for_plain_http(kit: Kit) -> None:
    if not kit.on_a_server:
        return
    request = DummyRequest()
    kit.factory(secure="auto")(request)["a"] = 1
    assert "secure" not in respond(request).headers["Set-Cookie"]


@pytest.mark.parametrize("exception", [True, None, ZeroDivisionError()])
@pytest.mark.parametrize("kept", ["true", "false"])
def test_an_exception_keeps_the_cookie_back_only_if_so_configured(
    kit: Kit, exception: Any, kept: str
) -> None:
    request = DummyRequest()
    request.exception = exception
    kit.factory(set_on_exception=kept)(request)["a"] = 1
    sent = "Set-Cookie" in respond(request).headers
    assert sent is (kept == "true" or exception is None)


def test_what_is_too_long_raises(kit: Kit) -> None:
    request = DummyRequest()
    kit.factory()(request)["abc"] = "x" * 100_000
    with pytest.raises(ValueError, match=r"session\['abc'\]"):
        respond(request)


def test_several_cookies_that_open_sessions_are_cleared(kit: Kit) -> None:
    factory = kit.factory()
    both = [f"{NAME}={cookie_with(factory, n=n)}" for n in range(2)]
    request = DummyRequest(environ={"HTTP_COOKIE": "; ".join(both)})
    assert dict(factory(request)) == {}
    assert "Max-Age=0" in respond(request).headers["Set-Cookie"]


def test_flash_messages_are_lists_under_pyramid_s_keys(kit: Kit) -> None:
    session = kit.factory()(DummyRequest())
    for message in ("1", "2", "0", "2"):
        session.flash(message)
    session.flash("1", allow_duplicate=False)
    session.flash("3", queue="q")
    assert (session["_f_"], session["_f_q"]) == (["1", "2", "0", "2"], ["3"])
    assert (session.peek_flash(), session.peek_flash("q")) == (["1", "2", "0", "2"], ["3"])
    assert (session.pop_flash(), session.pop_flash("q")) == (["1", "2", "0", "2"], ["3"])
    assert (session.get("_f_"), session.get("_f_q")) == (None, None)


def test_csrf_tokens_are_under_pyramid_s_key(kit: Kit) -> None:
    session = kit.factory()(DummyRequest())
    token = session.new_csrf_token()
    assert token == session["_csrft_"] == session.get_csrf_token()
    session["_csrft_"] = "token"
    assert session.get_csrf_token() == "token"
    del session["_csrft_"]
    assert session.get_csrf_token() == session["_csrft_"] != token
