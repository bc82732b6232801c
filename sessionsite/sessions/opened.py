"""The sessions that one request to the WSGI server has opened, until its response has left."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from pyramid.request import Request
from pyramid.response import Response
from pyramid.threadlocal import manager

log = logging.getLogger(__name__)

OPENED_KEY = "sessionsite.sessions.opened"
"""Where the WSGI environment has the `Opened` of its request, until the response has left."""
Header = tuple[str, str]


class Opened:
    """The open sessions, which the policy (`policy.py`) keeps in the environment until it saves."""

    __slots__ = ("_sent", "environ", "others", "request", "sessions")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.request: Request | None = None
        """The request itself, once it or a subrequest has asked for a session."""
        self.sessions: dict[Any, Any] = {}
        """The visitor's own sessions, by the factory that made them."""
        self.others: list[tuple[Request, Any, Header | None]] = []
        """The sessions of subrequests with other cookies: the subrequest, its session, and the
        cookie that its response sets."""
        self._sent = False

    def open(self, factory: Any, make: Callable[[Request], Any]) -> Any:
        """Return the visitor's session; if there is none yet, `make` one."""
        session = self.sessions.get(factory)
        if session is None:
            session = self.sessions[factory] = make(self.request)
            if self._sent:
                session.headers_sent()
        return session

    def save(self, error: Exception | None = None) -> None:
        """Save what has changed. `error`: what ends the request without a response of its own.

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
        """Put the cookies, and the headers for caches, into the response that will be sent."""
        for session in self.sessions.values():
            session.respond(self.request, response)
        for request, session, cookie in self.others:
            session.respond(request, response)  # which says no more than what caches are told
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
        """Note that the headers have left, so that no cookie can be sent any more."""
        self._sent = True
        for session in self.sessions.values():
            session.headers_sent()

    def discard(self) -> None:
        """Drop all sessions unsaved: another attempt at the request follows."""
        self.request = None
        self.sessions.clear()
        self.others.clear()

    def forget(self) -> None:
        """Drop the references to the requests: they refer to the environment, and it to this."""
        self.discard()
        if self.environ.get(OPENED_KEY) is self:
            del self.environ[OPENED_KEY]


def opened_around(request: Request) -> Opened | None:
    """Return the `Opened` of `request`, or of the one that made this subrequest.

    None where no execution policy of ours is around it.
    """
    opened: Opened | None = request.environ.get(OPENED_KEY)
    if opened is None:
        for info in reversed(manager.stack):
            environ = getattr(info["request"], "environ", None)
            if isinstance(environ, dict) and OPENED_KEY in environ:  # a test's may be anything
                opened = environ[OPENED_KEY]
                break
    if opened is not None:
        for info in manager.stack:
            if getattr(info["request"], "environ", None) is opened.environ:
                opened.request = info["request"]
                break
        else:  # it is over, but its body is being sent; or a policy has copied the environment
            opened.request = opened.request or request
    return opened


def describe_request(environ: dict[str, Any]) -> str:
    """Return method and path as a log may have them: quoted, and without the query string."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    line = f"{environ.get('REQUEST_METHOD', '')} {path}"
    return quote(line, safe="/ ", encoding="latin-1", errors="replace")
