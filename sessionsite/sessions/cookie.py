"""The cookie factory: the data in the cookie, signed and readable. Nothing to install.

Thin over Pyramid's own cookie session. A cookie can't be revoked: anyone who kept an old one can
play it back until its idle time-out. Of two parallel requests the later answer wins.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import BaseCookieSessionFactory
from zope.interface import directlyProvides, implementer

from .checks import is_weak_secret
from .cookie_header import CookieHeader
from .description import SessionDescription
from .interfaces import IDescribedSessionFactory, ISavedSession
from .opening import open_session
from .payload import check_size, dumps, loads
from .response import clear_session_cookies, prevent_caching, set_session_cookie
from .settings import cookie_settings
from .signing import RotatingSigner
from .store import HeadersSentError

log = logging.getLogger(__name__)

MAX_VALUE = 4064  # bytes; Pyramid's own limit
MAX_SECONDS = 2**35  # the times of a cookie end in the year 3058; any number may be signed
T = TypeVar("T")


class TimedOutError(ValueError):
    """The session in a cookie has been idle for too long."""


class _CookieState:
    """The JSON serializer for (seen, created, data), strict about what comes back."""

    def __init__(self, timeout: int | None) -> None:
        self._timeout = timeout

    def dumps(self, appstruct: tuple[float, float, dict[str, Any]]) -> bytes:
        seen, created, data = appstruct
        return f"[{int(seen)},{int(created)},{dumps(data)}]".encode("ascii")

    def loads(self, bstruct: bytes) -> tuple[int, int, dict[str, Any]]:
        """Return what `dumps` was given. Raises ValueError for anything else, and for a timed-out
        session, which Pyramid empties but takes for an old one.
        """
        head = re.match(rb"\[(\d{1,11}),(\d{1,11}),(.*)\]", bstruct, re.DOTALL)
        if head is None:
            raise ValueError("no session state")
        seen, created = int(head[1]), int(head[2])
        if max(seen, created) > MAX_SECONDS:
            raise ValueError("times out of range")
        if self._timeout is not None and time.time() - seen > self._timeout:
            raise TimedOutError
        return seen, created, loads(head[3].decode("ascii"))


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
    header = CookieHeader(options.cookie_name)
    serializer = RotatingSigner(
        options.secrets, "sessionsite.cookie.", _CookieState(options.timeout)
    )
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

    def _is_readable(value: str) -> bool:
        try:
            serializer.loads(value.encode("latin-1"))
        except TimedOutError:
            return False
        except ValueError as exc:
            log.warning("A cookie that holds no session of this site was ignored: %s", exc)
            return False
        return True

    @implementer(ISavedSession)
    class CookieSession(base):  # type: ignore[misc, valid-type]  # Pyramid makes it at run time
        """Pyramid's `CookieSession`, where it falls short of what `ISession` promises."""

        created: int
        new: bool
        description = SessionDescription(
            where="in the cookie itself", cookie=options, lifetime=None
        )
        _over = False
        _spent = False
        _value: str | None = None  # of the next cookie
        _when_sent: str | None = None  # the data when the headers left

        def __init__(self, request: Request) -> None:
            values = [value for value in header.values(request) if _is_readable(value)]
            # Pyramid reads its cookie from WebOb's dictionary, whose parser accepts more names.
            one = {options.cookie_name: values[0]} if len(values) == 1 else {}
            super().__init__(SimpleNamespace(cookies=one))
            self.request = None  # see `changed`
            self._came_with = values[0] if len(values) == 1 else None
            self.created = int(self.created)
            self._ambiguous = len(values) > 1
            if self._ambiguous:
                log.warning(
                    "A request came with several cookies that open a session. One of them may "
                    "have been planted: none is opened, and all are cleared"
                )

        def changed(self) -> None:
            """Have the cookie set; Pyramid's adds a callback here, which other callbacks outrun."""
            self._dirty = True

        @property
        def size(self) -> int:
            """How many bytes of JSON text there are in the cookie."""
            return len(dumps(dict(self)))

        def invalidate(self) -> None:
            """End the session as far as a cookie can: the browser's copy is replaced."""
            super().invalidate()
            self._over = not self.new
            self.new = True
            self.created = int(time.time())

        def __ior__(self, other: Any) -> Any:
            self.update(other)
            return self

        def transact(self, change: Callable[[Any], T]) -> T:
            """Call `change(session)` on the data at hand; a cookie has no newer data."""
            result = change(self)
            self.changed()
            return result

        def save_for_response(self, request: Request, error: Exception | None = None) -> None:
            """Make the cookie now, while there can still be an error page for `PayloadError`.

            Raises `HeadersSentError` where there can be no cookie any more either.
            """
            raised = error or (not options.set_on_exception and getattr(request, "exception", None))
            if raised or not self._dirty or self._spent:
                return
            data = dict(self)
            if self._when_sent is not None:
                if dumps(data) != self._when_sent:
                    raise HeadersSentError(
                        "the session is in a cookie, and the headers of the response have left"
                    )
                return
            self._spent = True  # unless all goes well
            text = serializer.dumps((self.accessed, self.created, data))
            check_size(data, len(text), MAX_VALUE, "a cookie")
            self._value = text.decode("ascii")
            self._spent = self._dirty = False

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
                set_session_cookie(response, options, value, options.max_age, secure)
            else:
                set_session_cookie(response, options, "", 0, secure)
            return True

        def headers_sent(self) -> None:
            """Refuse every change from now on; to read on is no change."""
            data = dict(self)
            if self._dirty:  # and not in a cookie yet
                value = self._came_with
                data = serializer.loads(value.encode("latin-1"))[2] if value else {}
            self._when_sent = dumps(data)

    def factory(request: Request) -> Any:
        """Return the session of `request`."""
        return open_session(request, header, CookieSession, CookieSession)

    factory.description = CookieSession.description  # type: ignore[attr-defined]
    directlyProvides(factory, IDescribedSessionFactory)
    return factory
