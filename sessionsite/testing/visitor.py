"""The session of the visitor that a WebTest app stands for."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from types import FunctionType, ModuleType
from typing import Any
from urllib.request import Request as ClientRequest

from pyramid.interfaces import IRequestFactory
from pyramid.request import Request, apply_request_extensions
from pyramid.response import Response
from pyramid.router import Router


@contextmanager
def session(testapp: Any, registry: Any = None) -> Iterator[Any]:
    """The session of the visitor whose cookies a WebTest `testapp` holds, of any factory.

    What is changed inside the `with` block is there at the app's next request, and the other
    way round; `invalidate()` takes the cookie away. An error in the block changes nothing.

    `registry` is the Pyramid app's: `app.registry`, or `config.registry`. Without it the app is
    looked for in `testapp.app`, through any middleware around it. Raises `LookupError` where that
    finds none, or several.
    """
    if registry is None:
        registry = _registry_in(testapp.app)
    host = testapp.extra_environ.get("HTTP_HOST", "localhost:80")
    client = ClientRequest(f"https://{host}/")  # a Secure cookie is sent, and set, too
    cookies = _cookies_for(client, testapp)
    environ = {**testapp.extra_environ, "HTTP_HOST": host, "wsgi.url_scheme": "https"}
    if cookies:
        environ["HTTP_COOKIE"] = "; ".join(f"{each.name}={each.value}" for each in cookies)
    make = registry.queryUtility(IRequestFactory, default=Request)
    request = make.blank("/", environ=environ)
    request.registry = registry
    apply_request_extensions(request)
    yield request.session
    response = Response()
    request._process_response_callbacks(response)
    request._process_finished_callbacks()
    _receive(response, client, testapp)


def _cookies_for(client: ClientRequest, testapp: Any) -> list[Any]:
    """Return the cookies of the client's host, of whatever path."""
    from webtest.app import CookiePolicy  # a store's contract needs no WebTest

    of_host = CookiePolicy().return_ok_domain
    return [c for c in testapp.cookiejar if of_host(c, client) and not c.is_expired()]


def _receive(response: Response, client: ClientRequest, testapp: Any) -> None:
    """Have the jar take what `response` sets, and drop what it deletes."""
    jar, headers = testapp.cookiejar, Message()
    for header in response.headers.getall("Set-Cookie"):
        headers["Set-Cookie"] = header
    named = {header.partition("=")[0] for header in headers.values()}
    for cookie in _cookies_for(client, testapp):
        # WebTest's set_cookie() puts cookies under a domain of its own, which no answer reaches.
        if cookie.name in named and cookie.domain == ".localhost":
            jar.clear(cookie.domain, cookie.path, cookie.name)
    jar.extract_cookies(_Answer(headers), client)
    if testapp.extra_environ.get("wsgi.url_scheme") != "https":
        for cookie in _cookies_for(client, testapp):
            if cookie.name in named:
                cookie.secure = False  # or WebTest, which speaks http, would never send it


class _Answer:
    """A response as `http.cookiejar` reads it."""

    def __init__(self, headers: Message) -> None:
        self._headers = headers

    def info(self) -> Message:
        return self._headers


def _registry_in(app: Any) -> Any:
    """Return the registry of the Pyramid app that is nearest in what `app` refers to."""
    seen: set[int] = set()
    level = [app]
    while level:
        routers = [each for each in level if issubclass(type(each), Router)]
        if len(routers) > 1:
            raise LookupError("several Pyramid apps are in testapp.app: pass the registry of yours")
        if routers:
            return routers[0].registry
        seen.update(map(id, level))
        inner = {id(each): each for outer in level for each in _parts(outer)}
        level = [each for key, each in inner.items() if key not in seen]
    raise LookupError("no Pyramid app is in testapp.app: pass its registry")


def _parts(thing: Any) -> list[Any]:
    """Return what `thing` refers to, its class and its module's names aside."""
    if issubclass(type(thing), type | ModuleType):
        return []
    if issubclass(type(thing), FunctionType):
        return [thing.__closure__, thing.__dict__]
    return gc.get_referents(thing)
