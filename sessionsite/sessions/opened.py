"""Whose session it is, and when it ends: a request's own, or the one that its subrequests share.

Inside our execution policy (`policy.py`), a request and its subrequests that come with the same
session cookie, or with none, are one visitor's, and have one session, which the policy stores last
of all. Any other session is stored by its own request's callbacks.
"""

import logging
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pyramid.request import Request
from pyramid.response import Response
from pyramid.threadlocal import manager

from .cookie_header import CookieHeader
from .error_page import become, error_page
from .payload import PayloadError
from .response import prevent_caching
from .store import StoreError

log = logging.getLogger(__name__)

KEY = "sessionsite.sessions.opened"
"""Where the WSGI environment has the `Opened` of its request, until the response has left."""
Header = tuple[str, str]


class Opened:
    """The sessions that one request of the WSGI server has opened, its subrequests' among them."""

    __slots__ = ("_sent", "environ", "others", "request", "sessions")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.request: Request | None = None
        """The request itself, once it or a subrequest has asked for a session."""
        self.sessions: dict[Any, Any] = {}
        """The visitor's own, by the factory that has made it."""
        self.others: list[tuple[Request, Any, Header | None]] = []
        """Those of subrequests with other cookies; the cookie that the subresponse sets."""
        self._sent = False

    def open(self, factory: Any, make: Callable[[Request], Any]) -> Any:
        """Return the visitor's session; `make` it where there is none yet."""
        session = self.sessions.get(factory)
        if session is None:
            session = self.sessions[factory] = make(self.request)
            if self._sent:
                session.headers_sent()
        return session

    def save(self, error: Exception | None = None) -> None:
        """Store what has changed; `error` ends the request with no response to tell of it.

        Raises `StoreError`, `PayloadError`, `HeadersSentError`.
        """
        if self.request is None:
            return
        manager.push({"request": self.request, "registry": self.request.registry})
        try:
            for session in self.sessions.values():
                session.save_for_response(self.request, error)
            if error is None:
                for request, session, _ in self.others:
                    session.save_for_response(request)
        finally:
            manager.pop()

    def respond(self, response: Response) -> None:
        """Tell browser and caches of the sessions; `response` is the one that will be sent."""
        for session in self.sessions.values():
            session.respond(self.request, response)
        for request, session, cookie in self.others:
            prevent_caching(response)
            if cookie is not None and cookie not in response.headerlist:
                log.error(
                    "Subrequest %s: its session %s is stored, but its cookie is not in the "
                    "response to %s, so nobody can open it. Give the subrequest the session of "
                    "the request, or its cookies",
                    describe_request(request.environ),
                    getattr(session, "id", ""),
                    describe_request(self.environ),
                )

    def headers_sent(self) -> None:
        """Take note that no cookie can be sent any more."""
        self._sent = True
        for session in self.sessions.values():
            session.headers_sent()

    def discard(self) -> None:
        """Store nothing of what there is: another attempt at the request follows."""
        self.request = None
        self.sessions.clear()
        self.others.clear()

    def forget(self) -> None:
        """Let go of the requests, which refer back to the environment: a cycle."""
        self.discard()
        if self.environ.get(KEY) is self:
            del self.environ[KEY]


def open_session(
    request: Request, header: CookieHeader, factory: Any, make: Callable[[Request], Any]
) -> Any:
    """Return the session of `request`, which `make(request)` makes where there is none to share.

    `header` reads the cookies by which `factory` tells visitors apart. Raises what `make` raises.
    """
    opened = _around(request)
    if opened is not None and (
        request.environ is opened.environ or header.values(request) == header.values(opened.request)
    ):
        return opened.open(factory, make)
    session = make(request)
    end = _End(session, opened)
    request.add_response_callback(end.on_response)
    request.add_finished_callback(end.on_finished)
    return session


def _around(request: Request) -> Opened | None:
    """Return what the policy around `request` keeps; None where there is no policy of ours."""
    own: Opened | None = request.environ.get(KEY)
    if own is not None and own.environ is request.environ:
        own.request = request
        return own
    for info in reversed(manager.stack):  # a subrequest: whose?
        environ = getattr(info["request"], "environ", {})
        opened: Opened | None = environ.get(KEY)
        if opened is not None and opened.environ is environ:
            opened.request = info["request"]
            return opened
    if own is not None:  # a policy of the app's own has copied the environment
        own.request = own.request or request
    return own


class _End:
    """Stores a session in the callbacks of its request, after all others that it has.

    Once where there is a response, and once more when the request is finished, for what
    subscribers to NewResponse and finished callbacks have put in. It keeps no reference to the
    request, which refers to it.
    """

    __slots__ = ("_cookie", "_opened", "_passed", "_response", "_session")

    def __init__(self, session: Any, opened: Opened | None) -> None:
        self._session = session
        self._opened = opened
        self._passed: list[Any] = []
        self._response: Response | None = None
        self._cookie: Header | None = None

    def on_response(self, request: Request, response: Response) -> None:
        if not self._others_wait(request.response_callbacks, self.on_response):
            self._response = response
            self._store(request, response)

    def on_finished(self, request: Request) -> None:
        if self._others_wait(request.finished_callbacks, self.on_finished):
            return
        if self._response is not None:
            self._store(request, self._response)
        elif isinstance(error := sys.exc_info()[1], Exception):
            with suppress(StoreError, PayloadError):  # the app's own error is the one to show
                self._session.save_for_response(request, error)
        else:  # it was opened so late that there is no way to the response
            self._session.headers_sent()
            self._session.save_for_response(request)
        if self._opened is not None:
            self._session.headers_sent()
            self._opened.others.append((request, self._session, self._cookie))

    def _others_wait(self, callbacks: deque[Any], again: Callable[..., None]) -> bool:
        """Return whether other callbacks come first; then `again` is put behind them.

        One that has been let pass is not waited for again: it may do the same.
        """
        others = [
            callback
            for callback in callbacks
            if callback not in self._passed
            and not isinstance(getattr(callback, "__self__", None), _End)
        ]
        if others:
            self._passed += others
            callbacks.append(again)
        return bool(others)

    def _store(self, request: Request, response: Response) -> None:
        try:
            self._session.save_for_response(request)
        except StoreError as exc:
            if self._opened is not None:
                raise  # to whoever made the subrequest
            # Nothing of ours stands outside, and a server answers an error with a bare 500.
            become(response, error_page(request, exc))
        else:
            if self._session.respond(request, response):
                self._cookie = response.headerlist[-1]


def describe_request(environ: dict[str, Any]) -> str:
    """Return method and path as a log may have them: quoted, and without the query string."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    line = f"{environ.get('REQUEST_METHOD', '')} {path}"
    return quote(line, safe="/ ", encoding="latin-1", errors="replace")
