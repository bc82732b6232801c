"""Decides which requests share a session, and what saves it: the policy, or callbacks.

Inside our execution policy (`policy.py`), a request and those of its subrequests that carry the
same session cookie, or that like it carry none, come from one visitor. They share one session, and
the policy saves it, after everything else. Callbacks of the request save any other session: that
of a subrequest with other cookies, and that of an app which uses a factory without our policy.
"""

import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from .cookie_header import CookieHeader
from .error_page import StoreErrorPage, become, error_page
from .opened import OPENED_KEY, Header, Opened, opened_around
from .payload import PayloadError
from .store import StoreError
from .stream import is_stream, stream


def open_session(
    request: Request, header: CookieHeader, factory: Any, make: Callable[[Request], Any]
) -> Any:
    """Return the session of `request`: a shared one, or else what `make(request)` returns.

    `header` reads the cookies by which `factory` tells visitors apart. Raises what `make` raises;
    outside our policy, a `StoreErrorPage` in place of a `StoreError`.
    """
    opened = opened_around(request)
    if opened is None:
        try:
            session = make(request)
        except StoreError as exc:
            raise StoreErrorPage(str(exc)) from exc
    elif request.environ is opened.environ or (
        header.values(request) == header.values(opened.request)
    ):
        return opened.open(factory, make)
    else:
        session = make(request)
    end = _End(factory, session, opened)
    request.add_response_callback(end.on_response)
    request.add_finished_callback(end.on_finished)
    return session


class _End:
    """Saves a session in callbacks of its request, which run after all its other callbacks.

    It saves once when there is a response, and once more when the request is finished, for what
    subscribers to NewResponse and finished callbacks have put in. It keeps no reference to the
    request, since the request refers to it.
    """

    __slots__ = ("_cookie", "_factory", "_opened", "_passed", "_response", "_session")

    def __init__(self, factory: Any, session: Any, opened: Opened | None) -> None:
        self._factory = factory
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
        elif self._response is not None and is_stream(self._response, request.environ):
            self._follow(request, self._response)

    def _others_wait(self, callbacks: deque[Any], again: Callable[..., None]) -> bool:
        """Return whether other callbacks come first; if so, put `again` behind them.

        It waits for each callback once, since another callback may put itself last as well.
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

    def _follow(self, request: Request, response: Response) -> None:
        """Save what the body puts into the session while it is sent."""
        opened = request.environ[OPENED_KEY] = Opened(request.environ)
        opened.request = request
        opened.sessions[self._factory] = self._session
        opened.headers_sent()
        stream(response, opened)
