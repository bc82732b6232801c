"""Gives each line of the log the request that it belongs to, and that request's session.

Every `LogRecord` that is made while a request is served gets `request_id` and, once the request
has a session, `session_id`, its public id: for a formatter that writes JSON, or for
`%(request_id)s`. A line costs that, and a request that logs nothing costs nothing.
"""

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pyramid.threadlocal import manager

from .interfaces import ISavedSession

_KEY = "sessionsite.request_id"
# nginx's $request_id, and what other proxies send; bounded, and with no way to forge a line.
_VALID = re.compile("[A-Za-z0-9._-]{1,64}")
_environ: ContextVar[dict[str, Any] | None] = ContextVar("environ", default=None)


def request_id(environ: dict[str, Any]) -> str:
    """Return the id that the trusted proxy has given the request, or else a new one, kept.

    The WSGI server removes `X-Forwarded-For` from a request that a trusted proxy has not sent:
    without it, `X-Request-ID` is anyone's.
    """
    found: str | None = environ.get(_KEY)
    if found is None:
        sent = environ.get("HTTP_X_REQUEST_ID", "") if "HTTP_X_FORWARDED_FOR" in environ else ""
        found = environ[_KEY] = sent if _VALID.fullmatch(sent) else secrets.token_hex(16)
    return found


@contextmanager
def logging_for(environ: dict[str, Any]) -> Iterator[None]:
    """Have what is logged inside the `with` block belong to this request, where Pyramid has none.

    `environ`: the WSGI environ, which keeps the request's id.
    """
    token = _environ.set(environ)
    try:
        yield
    finally:
        _environ.reset(token)


class _RecordFactory:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._inner(*args, **kwargs)
        stack = manager.stack
        # A subrequest is at the top, with a session of its own perhaps; its request is below.
        outer = getattr(stack[0]["request"], "environ", None) if stack else None
        environ = outer if isinstance(outer, dict) else _environ.get()
        if environ is not None:
            record.request_id = request_id(environ)
        inner = getattr(stack[-1]["request"], "__dict__", {}) if stack else {}
        session: Any = inner.get("session")
        if ISavedSession.providedBy(session):  # another package's may be loaded by being asked
            record.session_id = session.id
        return record


def install() -> None:
    """Have the process's log records made so; a second call changes nothing."""
    inner = logging.getLogRecordFactory()
    if not isinstance(inner, _RecordFactory):
        logging.setLogRecordFactory(_RecordFactory(inner))
