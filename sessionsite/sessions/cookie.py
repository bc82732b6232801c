"""The cookie factory: the data in the cookie, signed and readable. Nothing to install.

Thin over Pyramid's own cookie session. A cookie can't be revoked: anyone who kept an old one can
play it back until its idle time-out. Of two parallel requests the later answer wins.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import BaseCookieSessionFactory
from zope.interface import directlyProvides, implementer

from .description import SessionDescription
from .interfaces import IDescribedSessionFactory, ISavedSession
from .payload import PayloadError, dumps
from .response import set_session_cookie
from .settings import cookie_settings
from .signing import RotatingSigner

MAX_VALUE = 4064  # bytes; Pyramid's own limit
T = TypeVar("T")


class _CookieState:
    """The JSON serializer for (seen, created, data), strict about what comes back."""

    def __init__(self, timeout: int | None) -> None:
        self._timeout = timeout

    def dumps(self, appstruct: tuple[float, float, dict[str, Any]]) -> bytes:
        seen, created, data = appstruct
        return f"[{int(seen)},{int(created)},{dumps(data)}]".encode("ascii")

    def loads(self, bstruct: bytes) -> tuple[int, int, dict[str, Any]]:
        try:
            seen, created, data = json.loads(bstruct)
        except (ValueError, TypeError, RecursionError) as exc:
            raise ValueError("no session state") from exc
        if not (isinstance(seen, int) and isinstance(created, int) and isinstance(data, dict)):
            raise ValueError("no session state")
        # Pyramid empties a session that has timed out, but takes it for an old one.
        if self._timeout is not None and time.time() - seen > self._timeout:
            raise ValueError("timed out")
        return seen, created, data


def session_factory_from_settings(settings: Mapping[str, Any]) -> Callable[[Request], Any]:
    """Return the cookie factory that the `session.*` keys of `settings` describe.

    Raises `ConfigurationError`.
    """
    options = cookie_settings(settings)
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

        def __init__(self, request: Request) -> None:
            super().__init__(request)
            self.created = int(self.created)

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
            """Raise `PayloadError` now, while there can still be an error page."""
            if error is None and self._dirty and not self._spent:
                self._spent = True  # unless all goes well
                self._check()
                self._spent = False

        def _check(self) -> None:
            data = dict(self)
            size = len(serializer.dumps((self.accessed, self.created, data)))
            if size > MAX_VALUE:
                largest = max(data, key=lambda key: len(dumps({key: data[key]})))
                raise PayloadError(
                    f"the session takes {size} bytes, and a cookie holds {MAX_VALUE}: "
                    f"session[{largest!r}] is its largest part"
                )

        def _set_cookie(self, response: Response) -> bool:
            if self._spent:
                return False  # an error page is on its way
            if dict(self) or not self.new:
                self._check()
                return bool(super()._set_cookie(response))
            if self._over:
                set_session_cookie(response, options, "", 0, options.secure is True)
            return self._over

    directlyProvides(CookieSession, IDescribedSessionFactory)
    return CookieSession
