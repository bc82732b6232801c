"""No error, wherever it is raised, reaches the WSGI server, which would answer a bare 500."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.events import NewRequest, NewResponse
from pyramid.httpexceptions import HTTPConflict
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import INGRESS, MAIN
from webtest import TestApp

import sessionsite
from sessionsite.security import HEADERS

Adds = Callable[[Configurator], None]


class Broken(Exception):
    """The error of these tests; its text must be on no page."""


def fail(*_: Any, **__: Any) -> Any:
    raise Broken("<secret>")


def in_a_view(config: Configurator) -> None:
    config.add_route("broken", "/broken")
    config.add_view(fail, route_name="broken")


def in_a_tween(config: Configurator) -> None:
    config.add_tween(f"{__name__}.tween_factory", under=INGRESS, over=MAIN)


def tween_factory(handler: Any, registry: Any) -> Any:
    def tween(request: Request) -> Any:
        return fail() if request.path == "/broken" else handler(request)

    return tween


def answering(config: Configurator, view: Callable[[Request], Any]) -> None:
    config.add_route("broken", "/broken")
    config.add_view(view, route_name="broken")


def in_a_response_callback(config: Configurator) -> None:
    def view(request: Request) -> Response:
        request.add_response_callback(fail)
        return Response("fine")

    answering(config, view)


def in_a_finished_callback(config: Configurator) -> None:
    def view(request: Request) -> Response:
        request.add_finished_callback(fail)
        return Response("fine")

    answering(config, view)


def in_an_exception_view(config: Configurator) -> None:
    def view(request: Request) -> Response:
        raise HTTPConflict

    answering(config, view)
    config.add_exception_view(fail, context=HTTPConflict)


def in_a_subscriber_to_new_response(config: Configurator) -> None:
    answering(config, lambda request: Response("fine"))
    config.add_subscriber(lambda e: e.request.path == "/broken" and fail(), NewResponse)


def in_a_subscriber_to_new_request(config: Configurator) -> None:
    config.add_subscriber(lambda e: e.request.path == "/broken" and fail(), NewRequest)


def in_a_renderer(config: Configurator) -> None:
    config.add_route("broken", "/broken")
    config.add_view(lambda request: {}, route_name="broken", renderer="string", decorator=late)


def late(view: Any) -> Any:
    return lambda context, request: fail()


def in_what_the_response_is(config: Configurator) -> None:
    answering(config, lambda request: object())


def in_a_header_that_no_server_sends(config: Configurator) -> None:
    answering(config, lambda request: Response("fine", headerlist=[("A", None)]))


def in_the_response_itself(config: Configurator) -> None:
    class Unsendable(Response):  # type: ignore[misc]  # untyped base
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return fail()

    answering(config, lambda request: Unsendable("fine"))


EVERYWHERE = [
    in_a_view, in_a_tween, in_a_response_callback, in_a_finished_callback, in_an_exception_view,
    in_a_subscriber_to_new_response, in_a_subscriber_to_new_request, in_a_renderer,
    in_what_the_response_is, in_the_response_itself,
]  # fmt: skip


def site(monkeypatch: pytest.MonkeyPatch, add: Adds, **settings: str) -> TestApp:
    """The site with something that fails at `/broken`."""
    monkeypatch.setattr(f"{__name__}.includeme", add, raising=False)
    settings = {"pyramid.includes": __name__} | settings
    return TestApp(sessionsite.main({}, **settings))


def broken(app: TestApp, caplog: pytest.LogCaptureFixture) -> Any:
    """The answer of `/broken`: a 500 with the security headers and without the error's text."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        page = app.get("/broken", status=500)
    for name, value in HEADERS:
        assert page.headers[name] == value
    assert "<h1>Sessions - Error</h1>" in page.text
    for hidden in ("secret", "Broken", "Traceback"):
        assert hidden not in page.text
    return page


@pytest.mark.parametrize("add", EVERYWHERE)
def test_headers_an_error_anywhere_is_the_sites_own_page(
    add: Adds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = site(monkeypatch, add)
    page = broken(app, caplog)
    if add is not in_the_response_itself:  # too late for a page with a menu
        assert '<a href="/about">About</a>' in page.text
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info
    app.get("/", status=200)


@pytest.mark.parametrize("add", EVERYWHERE)
def test_headers_without_error_pages_it_is_a_plain_page(
    add: Adds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken(site(monkeypatch, add, **{"sessionsite.error_page": "false"}), caplog)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("add", EVERYWHERE)
def test_headers_an_error_of_the_error_page_is_a_plain_page(
    add: Adds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = site(monkeypatch, add)
    monkeypatch.setattr("sessionsite.views.links", fail)
    broken(app, caplog)
    # each error once: the one of the page in the log's second line
    assert len(caplog.records) <= 2
    assert app.get("/nothing", status=500).headers["X-Content-Type-Options"] == "nosniff"


def test_headers_a_400_whose_page_fails_stays_a_400(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = site(monkeypatch, in_a_view)
    monkeypatch.setattr("sessionsite.views.links", fail)
    page = app.get("/", headers={"Host": "evil.example"}, status=400)
    assert "<h1>Sessions - Bad request</h1>" in page.text
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert len(caplog.records) == 1


def test_headers_no_header_is_sent_that_a_server_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's `start_response` raises for a line break, as waitress's does."""
    calls: list[tuple[Any, ...]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        if any("\n" in value for _, value in headers):
            raise ValueError("line feed in a header")
        calls.append((status, dict(headers), exc_info))

    def split(config: Configurator) -> None:
        answering(config, lambda request: Response("fine", headers={"A": "b\nSet-Cookie: c"}))

    app = site(monkeypatch, split).app
    environ = Request.blank("/broken").environ
    assert b"Sessions - Error" in b"".join(app(environ, start_response))
    ((status, headers, exc_info),) = calls
    assert status.startswith("500")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert exc_info[0] is ValueError


def test_headers_hsts_is_on_error_pages_over_https_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = site(monkeypatch, in_a_response_callback, **{"sessionsite.hsts": "60"})
    assert "Strict-Transport-Security" not in broken(app, caplog).headers
    app.extra_environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost"}
    assert broken(app, caplog).headers["Strict-Transport-Security"] == "max-age=60"
