"""Saves once more after a body that the app makes while it is being sent."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pyramid.response import FileIter, Response
from webob.response import AppIterRange

from .error_page import store_failure
from .log_context import logging_for
from .opened import Opened, describe_request
from .payload import PayloadError
from .store import HeadersSentError, StoreError

log = logging.getLogger(__name__)


def is_stream(response: Response, environ: dict[str, Any]) -> bool:
    """Return whether code of the app may run while the body of `response` is sent.

    A list or a file is complete. A server sends its own kind of file faster if it is not wrapped.
    """
    body = response.app_iter
    if isinstance(body, list | tuple | FileIter):
        return False
    file_wrapper = environ.get("wsgi.file_wrapper")
    return not (isinstance(file_wrapper, type) and isinstance(body, file_wrapper))


def stream(response: Response, opened: Opened) -> "Stream":
    """Make the body of `response` a `Stream`, and return it."""
    length = response.content_length
    response.app_iter = body = Stream(response.app_iter, opened)
    response.content_length = length  # WebOb forgets it with the body that it was of
    return body


class Stream:
    """The body of a response, an iterator of chunks, that saves the session after the last one.

    The headers leave with the first chunk (PEP 3333): until then a session can still get its
    cookie, and a failure of the store its page. A later failure is logged, and raised to the
    server, which breaks the response off.
    """

    def __init__(self, body: Iterable[bytes], opened: Opened) -> None:
        self._body = body
        self._chunks = iter(body)
        self._opened = opened
        self._first: list[bytes] = []
        self._ended = False

    def start(self) -> None:
        """Make the first chunk that is not empty. Raises what the app raises."""
        for chunk in self._chunks:
            if chunk:
                self._first.append(chunk)
                return

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        if self._first:
            return self._first.pop()
        try:
            return next(self._chunks)
        except StopIteration:
            self._end()
            raise
        except Exception as exc:
            self._end(exc)
            raise

    def app_iter_range(self, start: int, stop: int) -> Iterable[bytes]:
        """Return a part of the body, for WebOb's answer to a request with `Range`."""
        if hasattr(self._body, "app_iter_range"):
            return Stream(self._body.app_iter_range(start, stop), self._opened)
        part: Iterable[bytes] = AppIterRange(self, start, stop)
        return part

    def close(self) -> None:
        """Close the app's body, and save what it has put into the session until now."""
        try:
            self._close_body()
        except Exception as exc:
            self._end(exc)
            raise
        self._end()

    def abandon(self) -> None:
        """Close the app's body, which is not sent, and leave the session to the caller."""
        self._ended = True
        self._close_body()

    def _close_body(self) -> None:
        if hasattr(self._body, "close"):
            self._body.close()

    def _end(self, error: Exception | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            if error is None:
                self._opened.save()
            else:
                self._save_after(error)
        except (StoreError, PayloadError, HeadersSentError) as exc:
            self._log(exc)
            raise
        finally:
            self._opened.forget()

    def _save_after(self, error: Exception) -> None:
        if store_failure(error):
            self._log(error)
        with suppress(StoreError, PayloadError, HeadersSentError):
            self._opened.save(error)

    def _log(self, exc: Exception) -> None:
        ids = [str(getattr(session, "id", "")) for session in self._opened.sessions.values()]
        with logging_for(self._opened.environ):
            log.error(
                "%s, session %s: part of the response has left, and what its body put into the "
                "session is not stored: %s",
                describe_request(self._opened.environ),
                ", ".join(ids),
                exc,
            )
