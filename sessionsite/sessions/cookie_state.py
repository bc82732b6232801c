"""The cookie of the cookie factory: what it holds, as JSON and back; its Set-Cookie."""

import logging
import re
from dataclasses import dataclass

from pyramid.request import Request
from pyramid.response import Response

from .cookie_header import CookieHeader
from .data import new_id
from .payload import loads
from .response import CookiePath, clear_session_cookies, set_session_cookie
from .settings import CookieSettings
from .signing import RotatingSigner

log = logging.getLogger(__name__)

MAX_SECONDS = 2**35  # the times of a cookie end in the year 3058; any number may be signed


@dataclass(frozen=True, slots=True)
class CookieState:
    """One session as a cookie keeps it. The times are in whole seconds since the epoch."""

    seen: int
    """When the cookie was sent."""
    created: int
    payload: str
    """The data, as JSON text."""
    id: str


class CookieStateSerializer:
    """WebOb's shape of a serializer for `CookieState`, strict about what comes back."""

    def dumps(self, appstruct: CookieState) -> bytes:
        each = appstruct
        return f'[{each.seen},{each.created},{each.payload},"{each.id}"]'.encode("ascii")

    def loads(self, bstruct: bytes) -> CookieState:
        """Return what `dumps` was given; a cookie of an earlier version gets an id here.

        Raises ValueError for anything else.
        """
        parts = re.fullmatch(
            rb'\[(\d{1,11}),(\d{1,11}),(.*?)(?:,"([\w-]{22})")?\]', bstruct, re.DOTALL
        )
        if parts is None:
            raise ValueError("no session state")
        seen, created = int(parts[1]), int(parts[2])
        if max(seen, created) > MAX_SECONDS:
            raise ValueError("times out of range")
        payload = parts[3].decode("ascii")
        loads(payload)  # raises ValueError
        return CookieState(
            seen, created, payload, parts[4].decode("ascii") if parts[4] else new_id()
        )


class StateCookie:
    """Reads, sends and deletes the cookie; thread-safe."""

    def __init__(self, settings: CookieSettings) -> None:
        self._settings = settings
        self._signer = RotatingSigner(
            settings.secrets, "sessionsite.cookie.", CookieStateSerializer()
        )
        self.header = CookieHeader(settings.cookie_name)
        self._path = CookiePath(settings.path)
        self._secure = settings.secure is True

    def read(self, request: Request) -> list[CookieState]:
        """Return what the request's cookies hold, those that we have signed."""
        found = []
        for value in self.header.values(request):
            try:
                found.append(self._signer.loads(value.encode("latin-1")))
            except ValueError as exc:
                log.warning("A cookie that holds no session of this site was ignored: %s", exc)
        return found

    def value(self, state: CookieState) -> str:
        """Return the value of a cookie that holds `state`."""
        return self._signer.dumps(state).decode("ascii")

    def send(self, request: Request, response: Response, value: str) -> None:
        self._path.check(request)
        settings = self._settings
        set_session_cookie(response, settings, value, settings.max_age, self._secure)

    def delete(self, response: Response) -> None:
        set_session_cookie(response, self._settings, "", 0, self._secure)

    def clear(self, request: Request, response: Response) -> None:
        """Delete every cookie of the name that the request can have come with."""
        clear_session_cookies(request, response, self._settings, self._secure)
