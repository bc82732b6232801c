"""A small app, and the factories that it runs on, for the tests of the testing kit."""

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from sessionsite.sessions.cookie import session_factory_from_settings as cookie_factory

SECRET = "a-secret-for-tests-that-is-long-enough"
HTTPS = {"wsgi.url_scheme": "https", "HTTP_HOST": "www.example.org"}
Wrap = Callable[[Any], Any]


def settings(**keys: str) -> dict[str, str]:
    return {f"session.{k}": v for k, v in {"secret": SECRET, "secure": "false", **keys}.items()}


def ours(**keys: str) -> Any:
    return ServerSessionFactory(MemoryStore(), server_settings(settings(**keys)))


def cookie(**keys: str) -> Any:
    return cookie_factory(settings(**keys))


def pyramids(**keys: Any) -> Any:
    """Another package's."""
    options = {k: {"true": True, "false": False}.get(v, v) for k, v in keys.items()}
    return SignedCookieSessionFactory(SECRET, **options)


FACTORIES = [ours, cookie, pyramids]


def view(request: Request) -> Response:
    """Count, unless the request only looks."""
    if "look" not in request.params:
        request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(dict(request.session).get("n")))


def make_app(factory: Any, *wraps: Wrap, **environ: str) -> TestApp:
    with Configurator(settings={}, session_factory=factory) as config:
        config.add_route("page", "/")
        config.add_view(view, route_name="page")
    app = config.make_wsgi_app()
    for wrap in wraps:
        app = wrap(app)
    return TestApp(app, extra_environ=environ)
