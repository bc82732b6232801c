"""Each line of the log has the ids of its request and of that request's session."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sessionsite.sessions import HeadersSentError, logging_for, login
from sessionsite.sessions.log_context import install, request_id
from tests.sessions.apps import count

MakeApp = Callable[..., TestApp]
PROXIED = {"X-Forwarded-For": "203.0.113.9"}
log = logging.getLogger("an.app")


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def told(caplog: pytest.LogCaptureFixture, text: str) -> logging.LogRecord:
    (record,) = [record for record in caplog.records if text in record.getMessage()]
    return record


def ids(record: logging.LogRecord) -> tuple[Any, Any]:
    return getattr(record, "request_id", None), getattr(record, "session_id", None)


def test_a_line_has_the_request_and_once_it_is_open_the_session(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    def view(request: Request) -> Response:
        log.info("before")
        response = count(request)
        log.info("after")
        response.text = request.session.id
        return response

    id_ = make_app(view).get("/", headers={"X-Request-ID": "a1", **PROXIED}).text
    assert ids(told(caplog, "before")) == ("a1", None)
    assert ids(told(caplog, "after")) == ("a1", id_)
    assert ids(told(caplog, f"Session {id_}: created")) == ("a1", id_)  # while it is saved
    log.info("outside")
    assert ids(told(caplog, "outside")) == (None, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "a1"},  # of nobody whom the server trusts
        PROXIED,
        {"X-Request-ID": "a" * 65, **PROXIED},
        {"X-Request-ID": "a b", **PROXIED},
        {"X-Request-ID": "a1\u00e9", **PROXIED},
        {"X-Request-ID": "", **PROXIED},
    ],
)
def test_an_id_that_no_proxy_has_sent_is_made_anew(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
) -> None:
    def view(request: Request) -> Response:
        log.info("one")
        log.info("two")
        return Response()

    app = make_app(view)
    app.get("/", headers=headers)
    app.get("/", headers=headers)
    given = [getattr(r, "request_id", "") for r in caplog.records if r.name == log.name]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in given)
    assert given[0] == given[1] != given[2] == given[3]


def test_a_line_with_a_forged_id_stays_one_line() -> None:
    environ = {"HTTP_X_FORWARDED_FOR": "1", "HTTP_X_REQUEST_ID": "a\nERROR b"}
    assert "\n" not in request_id(environ)
    assert request_id({**environ, "HTTP_X_REQUEST_ID": "a\n"}) != "a\n"


def test_a_subrequest_has_the_request_that_made_it(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    def view(request: Request) -> Response:
        if "inner" in request.params:
            log.info("inner")
            return Response()
        return request.invoke_subrequest(Request.blank("/?inner=1"))

    make_app(view).get("/", headers={"X-Request-ID": "a1", **PROXIED})
    assert ids(told(caplog, "inner")) == ("a1", None)


def test_a_body_that_fails_late_has_its_request(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    def view(request: Request) -> Response:
        def body() -> Iterator[bytes]:
            yield b"one"
            request.session["a"] = 1

        return Response(app_iter=body())

    with pytest.raises(HeadersSentError):
        make_app(view).get("/", headers={"X-Request-ID": "a1", **PROXIED})
    assert ids(told(caplog, "part of the response has left"))[0] == "a1"


def test_another_packages_session_is_not_asked(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    class Lazy:
        @property
        def id(self) -> str:
            raise AssertionError("it would be loaded")

    def view(request: Request) -> Response:
        request.session = Lazy()
        log.info("lazy")
        return Response()

    make_app(view).get("/")
    assert ids(told(caplog, "lazy"))[1] is None


def test_a_place_without_a_pyramid_request_can_say_which_one_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    install()
    with logging_for({"HTTP_X_FORWARDED_FOR": "1", "HTTP_X_REQUEST_ID": "a1"}):
        log.info("inside")
    log.info("outside")
    assert ids(told(caplog, "inside")) == ("a1", None)
    assert ids(told(caplog, "outside")) == (None, None)


def test_a_second_app_in_the_process_wraps_nothing_twice(make_app: MakeApp) -> None:
    make_app(count)
    before = logging.getLogRecordFactory()
    make_app(count)
    assert logging.getLogRecordFactory() is before


class TestAudit:
    """A logger of its own has each end, with the owner and with who ended the session."""

    @pytest.fixture
    def app(self, make_app: MakeApp) -> TestApp:
        def view(request: Request) -> Response:
            if "owner" in request.params:
                login(request, request.params["owner"])
            elif "end" in request.params:
                request.session_store.end(request.params["end"])
            else:
                request.session.invalidate()
            return Response(request.session.id)

        return make_app(view)

    def lines(self, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
        return [r for r in caplog.records if r.name == "sessionsite.sessions.audit"]

    def test_a_logout(self, app: TestApp, caplog: pytest.LogCaptureFixture) -> None:
        id_ = app.get("/?owner=user:42").text
        app.get("/", headers={"X-Request-ID": "a1", **PROXIED})
        (line,) = self.lines(caplog)
        assert line.levelname == "INFO"
        assert line.getMessage() == f"Session {id_} of 'user:42' ended: logout, by request a1"
        fields: Any = line
        assert (fields.ended_id, fields.owner, fields.reason, fields.by) == (
            id_,
            "user:42",
            "logout",
            "request a1",
        )

    def test_whoever_ends_another_session_is_told_apart_from_it(
        self, app: TestApp, caplog: pytest.LogCaptureFixture
    ) -> None:
        ended = app.get("/?owner=user:42").text
        app.reset()
        own = app.get(f"/?end={ended}").text
        (line,) = self.lines(caplog)
        assert line.__dict__["ended_id"] == ended != own
        assert ids(line)[1] != ended

    def test_an_owner_can_not_forge_a_line(
        self, app: TestApp, caplog: pytest.LogCaptureFixture
    ) -> None:
        app.get("/", params={"owner": "a\u2028\nERROR"})
        app.get("/")
        (line,) = self.lines(caplog)
        assert r"of 'a\u2028\nERROR' ended" in line.getMessage()

    def test_it_costs_nothing_where_its_level_is_higher(
        self, app: TestApp, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="sessionsite.sessions.audit")
        app.get("/?owner=user:42")
        app.get("/")
        assert self.lines(caplog) == []
