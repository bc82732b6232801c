"""The cookie factory: the data in the cookie, signed and readable. Nothing to install.

Thin over Pyramid's own cookie session. A cookie can't be revoked: anyone who kept an old one can
play it back until its idle time-out. Of two parallel requests the later answer wins.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Self, TypeVar

from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import BaseCookieSessionFactory
from zope.interface import directlyProvides, implementer

from .checks import is_weak_secret
from .cookie_header import CookieHeader
from .cookie_state import CookieState, CookieStateSerializer, new_id
from .data import SessionData
from .description import SessionDescription
from .interfaces import IDescribedSessionFactory, ISavedSession
from .opening import open_session
from .payload import EMPTY, PayloadError, check_size, dumps, loads
from .response import CookiePath, clear_session_cookies, prevent_caching, set_session_cookie
from .settings import cookie_settings
from .signing import RotatingSigner
from .store import HeadersSentError

log = logging.getLogger(__name__)

MAX_VALUE = 4064  # bytes; Pyramid's own limit
MAX_BYTES = MAX_VALUE * 3 // 4 - 96  # of JSON text: base64, the signature and two times go off
T = TypeVar("T")


def session_factory_from_settings(settings: Mapping[str, Any]) -> Callable[[Request], Any]:
    """Return the cookie factory that the `session.*` keys of `settings` describe.

    Raises `ConfigurationError`.
    """
    options = cookie_settings(settings)
    if options.secure is False:
        log.warning("session.secure = false: anyone who listens on the way can take a session")
    if any(map(is_weak_secret, options.secrets)):
        log.warning(
            "session.secret is short, published or easy to guess: set a better one, as "
            "`sessionsite generate-secret` prints it"
        )
    header, path = CookieHeader(options.cookie_name), CookiePath(options.path)
    serializer = RotatingSigner(options.secrets, "sessionsite.cookie.", CookieStateSerializer())
    base = BaseCookieSessionFactory(
        serializer,
        cookie_name=options.cookie_name,
        max_age=options.max_age,
        path=options.path,
        domain=options.domain,
        secure=options.secure,
        httponly=options.httponly,
        samesite=options.samesite,
        timeout=options.timeout,
        reissue_time=options.reissue_time,
        set_on_exception=options.set_on_exception,
    )

    def _read(value: str) -> CookieState | None:
        try:
            state: CookieState = serializer.loads(value.encode("latin-1"))
        except ValueError as exc:
            log.warning("A cookie that holds no session of this site was ignored: %s", exc)
            return None
        if options.timeout is not None and time.time() - state.seen > options.timeout:
            return None
        return state

    @implementer(ISavedSession)
    class CookieSession(SessionData, base):  # type: ignore[misc, valid-type]  # Pyramid makes it
        """Pyramid's `CookieSession`, where it falls short of what `ISession` promises."""

        created: int
        new: bool
        description = SessionDescription(
            where="in the cookie itself", cookie=options, lifetime=None, max_bytes=MAX_BYTES
        )
        _over = False
        _spent = False
        _value: str | None = None  # of the next cookie
        _when_sent: str | None = None  # the data when the headers left

        def __init__(self, request: Request) -> None:
            values = header.values(request)
            states = [state for value in values if (state := _read(value)) is not None]
            super().__init__(SimpleNamespace(cookies={}))  # Pyramid's parser accepts more names
            self.request = None  # see `changed`
            self._begin(states[0] if len(states) == 1 else None)
            self._came_with = self._stored
            self._ambiguous = len(states) > 1
            if self._ambiguous:
                log.warning(
                    "A request came with several cookies that open a session. One of them may "
                    "have been planted: none is opened, and all are cleared"
                )

        def changed(self) -> None:
            """Have the cookie set; Pyramid's adds a callback here, which other callbacks outrun."""
            self._dirty = True

        def _begin(self, state: CookieState | None) -> None:
            self.new = state is None
            if state is None:
                now = int(time.time())
                state = CookieState(now, now, EMPTY, new_id())
            self.created = state.created
            self.accessed = self.renewed = state.seen
            self.id = state.id
            """Random and public, safe to log."""
            self._stored = state.payload
            self._fill(state.payload)

        @property
        def seen_at(self) -> datetime:
            """When the cookie was last sent before this request, aware and in UTC."""
            return datetime.fromtimestamp(self.renewed, UTC)

        @property
        def expires_at(self) -> datetime | None:
            """When the session ends if this request is its last; in UTC, None for never."""
            if options.timeout is None:
                return None
            last = time.time() if self._dirty or self.new else self.renewed
            return datetime.fromtimestamp(last, UTC) + timedelta(seconds=options.timeout)

        @property
        def size(self) -> int:
            """How many bytes of JSON text there are in the cookie."""
            return len(self._text(self._plain()))

        def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
            self.update(other)
            return self

        def _text(self, data: Mapping[str, Any]) -> str:
            return dumps(data, self._stored, coerce_keys=options.coerce_keys)

        def _invalidate(self) -> None:
            self.clear()
            self._over = self._over or not self.new
            self._begin(None)

        def _regenerate(self) -> None:
            """A signed cookie has no token; what changes is the CSRF token."""

        def _touch(self) -> None:
            self.accessed = int(time.time())
            self.changed()

        def _reload(self) -> None:
            self._fill(self._stored)

        def _save(self) -> None:
            """Make the cookie that the response is to set.

            Raises `HeadersSentError` where there can be none any more.
            """
            payload = self._text(self._plain())
            if payload != self._stored:  # deep inside, perhaps, where Pyramid's does not look
                self._dirty = True
            if not self._dirty:
                return
            if self._when_sent is None:
                self._value = self._cookie_value(payload)
                self._stored = payload
                self._dirty = False
            elif payload != self._when_sent:
                raise HeadersSentError(
                    "the session is in a cookie, and the headers of the response have left"
                )

        def _transact(self, change: Callable[[Self], T]) -> T:
            before = self._text(self._plain())
            try:
                result = change(self)
                self._save()
            except BaseException:
                self._fill(before)
                raise
            return result

        def _plain(self) -> dict[str, Any]:
            return dict(dict.items(self))  # Pyramid's own `items` makes a visit of it

        def _cookie_value(self, payload: str) -> str:
            """Return the cookie's value. Raises `PayloadError`."""
            state = CookieState(int(self.accessed), self.created, payload, self.id)
            value = serializer.dumps(state).decode("ascii")
            check_size(self, len(value), MAX_VALUE, "a cookie")
            return value

        def _fill(self, text: str) -> None:
            dict.clear(self)
            dict.update(self, loads(text))

        def save_for_response(self, request: Request, error: Exception | None = None) -> None:
            """Make the cookie now, while there can still be an error page for `PayloadError`."""
            raised = error or (not options.set_on_exception and getattr(request, "exception", None))
            if raised or self._spent:
                return
            try:
                self._save()
            except PayloadError:
                self._spent = True
                raise

        def respond(self, request: Request, response: Response) -> bool:
            """Tell browser and caches of the session; True if the last header is its cookie."""
            prevent_caching(response, options.cache_control)
            secure = options.secure is True
            if self._ambiguous:
                self._ambiguous = False
                clear_session_cookies(request, response, options, secure)
            value, self._value = self._value, None
            if value is None or not (dict(self) or self._over or not self.new):
                return False
            if dict(self) or not self.new:
                path.check(request)
                set_session_cookie(response, options, value, options.max_age, secure)
            else:
                set_session_cookie(response, options, "", 0, secure)
            return True

        def headers_sent(self) -> None:
            """Refuse every change from now on; to read on is no change."""
            self._when_sent = self._came_with if self._dirty else self._stored

    def factory(request: Request) -> Any:
        """Return the session of `request`."""
        return open_session(request, header, CookieSession, CookieSession)

    factory.description = CookieSession.description  # type: ignore[attr-defined]
    directlyProvides(factory, IDescribedSessionFactory)
    return factory
