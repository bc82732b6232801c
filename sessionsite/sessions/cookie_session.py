"""`request.session` of the cookie factory: a dict that goes into the next cookie.

What has changed is found by comparing the JSON text with the one that was loaded, as with the
server factory.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from .cookie_state import CookieState, StateCookie
from .data import SessionData, new_id
from .interfaces import ISavedSession
from .own import NOTHING_OWN, Own, cookie_age
from .payload import EMPTY, PayloadError, check_size, dumps, loads
from .response import prevent_caching
from .settings import CookieSettings
from .store import HeadersSentError

T = TypeVar("T")
MAX_VALUE = 4064  # bytes; Pyramid's own limit


@implementer(ISavedSession)
class CookieSession(SessionData):
    """A session whose data is in its cookie; all of Pyramid's `ISession`.

    It keeps no reference to its request, as the server's does not.
    """

    def __init__(
        self,
        state: CookieState | None,
        *,
        cookie: StateCookie,
        settings: CookieSettings,
        now: Callable[[], datetime],
        ambiguous: bool = False,
    ) -> None:
        """Make a session of what its cookie held; None: of nothing.

        `ambiguous`: the request came with several cookies that open sessions, and the response is
        to clear them all.
        """
        super().__init__()
        self._cookie = cookie
        self._settings = settings
        self._now = now
        self._ambiguous = ambiguous
        self._begin(state)
        self._touched = self._replaced = self._spent = self._headers_sent = False
        self._had_cookie = state is not None
        self._value: str | None = None  # of the next cookie

    def _begin(self, state: CookieState | None) -> None:
        self.new: bool = state is None
        if state is None:
            now = self._seconds()
            state = CookieState(now, now, EMPTY, new_id())
        self.created: int = state.created
        """When the session began, in seconds since the epoch."""
        self.id: str = state.id
        """Random and public, safe to log."""
        self._seen = state.seen
        self._stored_own = self._values = state.own
        self._stored = state.payload
        self._fill(state.payload)

    def _seconds(self) -> int:
        return int(self._now().timestamp())

    @property
    def seen_at(self) -> datetime:
        """When the cookie was last sent before this request, aware and in UTC."""
        return datetime.fromtimestamp(self._seen, UTC)

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends if this request is its last; in UTC, None for never."""
        own = self._values
        timeout = self._settings.timeout if own.timeout is None else own.timeout
        seen = self._seconds() if self._is_due() else self._seen
        ends = [seen + timeout] if timeout else []
        if own.lifetime:
            ends.append(self.created + own.lifetime)
        return datetime.fromtimestamp(min(ends), UTC) if ends else None

    @property
    def size(self) -> int:
        """How many bytes of JSON text there are in the cookie."""
        return len(self._text(self))

    def changed(self) -> None:
        """Do nothing: changes are found by comparing."""

    def _text(self, data: Mapping[str, Any]) -> str:
        return dumps(data, self._stored, coerce_keys=self._settings.coerce_keys)

    def _fill(self, payload: str) -> None:
        data = loads(payload)
        self.clear()
        self.update(data)

    def _own(self) -> Own:
        return self._values

    def _change_own(self, values: Mapping[str, Any]) -> None:
        self._values = replace(self._values, **values)

    def _age(self) -> int:
        return self._seconds() - self.created

    def _max_lifetime(self) -> int | None:
        return None

    def _invalidate(self) -> None:
        self.clear()
        if not self.new:
            self._replaced = True
        self._begin(None)

    def _regenerate(self) -> None:
        """A signed cookie has no token; what changes is the CSRF token."""

    def _touch(self) -> None:
        self._touched = True

    def _reload(self) -> None:
        self._values = self._stored_own
        self._fill(self._stored)

    def _transact(self, change: Callable[[Self], T]) -> T:
        before = self._text(self)
        try:
            result = change(self)
            self._save()
        except BaseException:
            self._fill(before)
            raise
        return result

    def _is_due(self) -> bool:
        """Return whether the cookie is sent anew though no data has changed."""
        reissue_time = self._settings.reissue_time
        if self._values.timeout:
            reissue_time = min(reissue_time, self._values.timeout // 10)
        return self._touched or self._replaced or self._seconds() - self._seen >= reissue_time

    def _save(self) -> None:
        """Make the cookie that the response is to set.

        Raises `HeadersSentError` for a change that comes after the headers.
        """
        payload = self._text(self)
        own_changed = self._values != self._stored_own
        is_changed = self._replaced or own_changed or payload != self._stored
        if self._headers_sent:
            if is_changed:
                raise HeadersSentError(
                    "the session is in a cookie, and the headers of the response have left"
                )
        elif is_changed or self._is_due():
            now = self._seconds()
            state = CookieState(now, self.created, payload, self.id, self._values)
            value = self._cookie.value(state)
            check_size(self, len(value), MAX_VALUE, "a cookie")
            self._value, self._stored, self._seen = value, payload, now
            self._stored_own = self._values
            self._touched = self._replaced = False

    def save_for_response(self, request: Request, error: Exception | None = None) -> None:
        """Make the cookie now, while there can still be an error page for `PayloadError`."""
        keeps = self._settings.set_on_exception
        raised = error or (not keeps and getattr(request, "exception", None))
        if raised or self._spent:
            return
        try:
            self._save()
        except PayloadError:
            self._spent = True
            raise

    def respond(self, request: Request, response: Response) -> bool:
        """Tell browser and caches of the session; True if the last header is its cookie."""
        prevent_caching(response, self._settings.cache_control)
        if self._ambiguous:
            self._ambiguous = False
            self._cookie.clear(request, response)  # before a new one is set
        value, self._value = self._value, None
        has_data = bool(self) or self._values != NOTHING_OWN
        if value is None or not (has_data or self._had_cookie):
            return False
        if has_data or not self.new:
            self._cookie.send(request, response, value, self._max_age())
        else:  # it has ended
            self._cookie.delete(response)
        return True

    def _max_age(self) -> int | None:
        """Return how many seconds the browser is to keep the cookie; None: until it closes."""
        own = self._values
        remains = own.lifetime - self._age() if own.lifetime else None
        return cookie_age(own.persistent, own.lifetime, remains, self._settings.max_age)

    def headers_sent(self) -> None:
        """Refuse every change from now on; to read on is no change."""
        self._headers_sent = True
