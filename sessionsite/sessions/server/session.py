"""`request.session` of the server factory: a dict that knows its row. What an app calls.

What has changed is found by comparing the JSON text with the one that was loaded, so that no dict
method is wrapped, and a change deep inside is seen like any other.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from ..data import SessionData
from ..interfaces import IStoredSession
from ..own import Own
from ..payload import CSRF_KEY, PayloadError, loads
from ..response import prevent_caching
from ..retry import is_error_retryable
from ..store import HeadersSentError, SessionEndedError
from .old_sessions import OldSessions
from .saving import SessionRow
from .token_cookie import TokenCookie

T = TypeVar("T")


@implementer(IStoredSession)
class ServerSession(SessionData):
    """A session whose data is in the store; all of Pyramid's `ISession`.

    Changes, `invalidate` and `regenerate` take effect in `save`, which runs by itself before
    the response is sent, and once more after a body that is made while it is sent.

    It keeps no reference to its request: the request refers to the session, and a cycle would have
    to wait for the garbage collector, with memory that no processor cache holds any more.
    """

    new: bool
    """Whether the session began with this request."""
    id: str
    """Random and public, safe to log: neither cookie nor token can be made from it."""
    created: int
    """When the session began, in seconds since the epoch."""
    seen_at: datetime
    """When the session was last stored before this request, aware and in UTC."""

    def __init__(
        self,
        row: SessionRow,
        cookie: TokenCookie,
        *,
        set_on_exception: bool = True,
        cache_control: str = "no-store",
        ambiguous: bool = False,
        old: OldSessions | None = None,
    ) -> None:
        """Make a session over its row.

        `ambiguous`: the request came with several cookies that open sessions, and the response is
        to clear them all. `old`: it came with a cookie of another factory, which is to go.
        Raises ValueError for a payload that can't be read.
        """
        super().__init__(loads(row.record.payload) if row.record else {})
        self._row = row
        self._cookie = cookie
        self._set_on_exception = set_on_exception
        self._cache_control = cache_control
        self._ambiguous = ambiguous
        self._old = old
        self._headers_sent = False
        self._came_with_ours = row.record is not None
        self._start()

    def _start(self) -> None:
        row = self._row
        self.new = row.record is None
        self.id = row.id
        self.created = int(row.created_at.timestamp())
        self.seen_at = row.seen_at

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends if this request is its last; aware and in UTC, None for never."""
        return self._row.expires_at

    @property
    def size(self) -> int:
        """How many bytes of JSON text are stored for the session."""
        return len(self._row.record.payload) if self._row.record else 0

    def changed(self) -> None:
        """Do nothing: changes are found by comparing."""

    def get_csrf_token(self) -> str:
        """Return the CSRF token; the first one of a session is made from its token."""
        token: str | None = self.get(CSRF_KEY)
        if not token:
            token = self[CSRF_KEY] = self._row.next_token.csrf_token
        return token

    def _text(self, data: Mapping[str, Any]) -> str:
        return self._row.dumps(data)

    def _own(self) -> Own:
        return self._row.own

    def _change_own(self, values: Mapping[str, Any]) -> None:
        if self._headers_sent and "owner" not in values and "label" not in values:
            self._refuse_cookie("another lifetime")
        self._row.change_own(values)

    def _age(self) -> int:
        return self._row.age

    def _max_lifetime(self) -> int | None:
        return self._row.max_lifetime

    def _invalidate(self) -> None:
        self.clear()
        self._row.end()
        self._start()

    def _regenerate(self) -> None:
        if self._headers_sent:
            self._refuse_cookie("a new token")
        self._row.rotate()

    def _touch(self) -> None:
        self._row.touch()

    def _reload(self) -> None:
        try:
            self._fill(self._row.reload())
        except ValueError as exc:
            self._row.spend()
            raise SessionEndedError(f"session {self.id} can't be read: {exc}") from exc

    def _transact(self, change: Callable[[Self], T]) -> T:
        if self._headers_sent and self._row.record is None:
            self._refuse_cookie("a new session")
        if self._row.has_changes:  # an owner's lock comes before the row's
            self._save()
        ours = dict(self)
        before = self._text(ours)
        results: list[T] = []

        def apply(newest: str) -> Mapping[str, Any]:
            self._fill(newest)
            results.append(change(self))
            return self

        try:
            self._row.transact(ours, apply)
        except BaseException:
            self._fill(before)
            raise
        return results[-1]

    def _save(self) -> None:
        if self._headers_sent and self._row.record is None and self and not self._row.spent:
            self._row.save({})  # a session that has ended before it
            self._refuse_cookie("a new session")
        newest = self._row.save(self)
        if newest is not None:
            self._fill(newest)

    def save_for_response(self, request: Request, error: Exception | None = None) -> None:
        """The automatic save; `error` is what ends the request with no response to tell of it."""
        if error and not (self._row.record or self._row.ended):
            return  # nobody would have the cookie of a new session
        raised = error or getattr(request, "exception", None)  # a DummyRequest has none
        if raised and not (self._set_on_exception and not is_error_retryable(request, raised)):
            return
        try:
            self.save()
        except PayloadError:
            self._row.spend()
            raise

    def _fill(self, payload: str) -> None:
        data = loads(payload)
        self.clear()
        self.update(data)

    def respond(self, request: Request, response: Response) -> bool:
        """Tell browser and caches of the session; True if the last header is its cookie now."""
        prevent_caching(response, self._cache_control)
        if self._ambiguous:
            self._ambiguous = False
            self._cookie.clear(request, response)  # before a new one is set
        answer, self._row.answer = self._row.answer, None
        # Not before the browser has a cookie of ours: an answer may be lost.
        if self._old is not None and (answer is not None or self._came_with_ours):
            self._old.clear(request, response, self._cookie.is_secure(request))
            self._old = None
        if self._headers_sent:
            return False
        self._cookie.answer(request, response, answer)
        return answer is not None

    def announce(self, token: bytes | None) -> None:
        """Have the browser told of the token that the row has got already; None: of none."""
        self._came_with_ours = False
        if token is not None:
            self._row.announce(token)

    def headers_sent(self) -> None:
        """Refuse from now on what needs a cookie: a new session, and a new token."""
        self._headers_sent = True

    def _refuse_cookie(self, what: str) -> None:
        raise HeadersSentError(
            f"session {self.id}: {what} needs a cookie, and the headers of the response have left"
        )


class UnopenedSession(ServerSession):
    """A new session for a request with a cookie that we have signed, and that opens nothing.

    Its CSRF token is the one that goes with the cookie, so that a form which came with that cookie
    works. The token alone is nothing to store, and so it is no item of the dict.
    """

    def get(self, key: str, default: Any = None) -> Any:
        # for any storage policy of Pyramid's, which ask for the token in this way
        return super().get(key, self._row.next_token.csrf_token if key == CSRF_KEY else default)
