"""The cookie of the cookie factory: what it holds, as JSON and back; its Set-Cookie."""

import json
import logging
import re
from dataclasses import asdict, dataclass

from pyramid.request import Request
from pyramid.response import Response

from .cookie_header import CookieHeader
from .data import new_id
from .own import NOTHING_OWN, Own, stored_own
from .payload import loads
from .response import CookiePath, clear_session_cookies, set_session_cookie
from .settings import CookieSettings
from .signing import RotatingSigner

log = logging.getLogger(__name__)

_DECODER = json.JSONDecoder()
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
    own: Own = NOTHING_OWN


def is_over(state: CookieState, now: float, timeout: int | None) -> bool:
    """Return whether the session has ended; `timeout` is the settings', in seconds."""
    own = state.own
    idle = timeout if own.timeout is None else own.timeout or None
    return (idle is not None and now - state.seen >= idle) or (
        bool(own.lifetime) and now - state.created >= (own.lifetime or 0)
    )


class CookieStateSerializer:
    """WebOb's shape of a serializer for `CookieState`, strict about what comes back."""

    def dumps(self, appstruct: CookieState) -> bytes:
        each = appstruct
        own = {k: v for k, v in asdict(each.own).items() if v is not None}
        last = f",{json.dumps(own, separators=(',', ':'))}" if own else ""
        return f'[{each.seen},{each.created},{each.payload},"{each.id}"{last}]'.encode("ascii")

    def loads(self, bstruct: bytes) -> CookieState:
        """Return what `dumps` was given; a cookie of an earlier version gets an id here.

        Raises ValueError for anything else.
        """
        text = bstruct.decode("ascii")
        start = re.match(r"\[(\d{1,11}),(\d{1,11}),", text, re.ASCII)
        if start is None:
            raise ValueError("no session state")
        seen, created = int(start[1]), int(start[2])
        if max(seen, created) > MAX_SECONDS:
            raise ValueError("times out of range")
        end = _end_of_json(text, start.end())  # the payload stays the text that it is
        payload = text[start.end() : end]
        loads(payload)  # raises ValueError
        rest = re.fullmatch(r'(?:,"([\w-]{22})"(?:,(\{.*\}))?)?\]', text[end:], re.ASCII)
        if rest is None:
            raise ValueError("no session state")
        return CookieState(seen, created, payload, rest[1] or new_id(), _own(rest[2] or "{}"))


def _end_of_json(text: str, start: int) -> int:
    try:
        _, end = _DECODER.raw_decode(text, start)
    except RecursionError as exc:
        raise ValueError(str(exc)) from exc
    return end


def _own(text: str) -> Own:
    try:
        return stored_own(loads(text))
    except TypeError as exc:
        raise ValueError(str(exc)) from exc


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

    def send(self, request: Request, response: Response, value: str, max_age: int | None) -> None:
        self._path.check(request)
        set_session_cookie(response, self._settings, value, max_age, self._secure)

    def delete(self, response: Response) -> None:
        set_session_cookie(response, self._settings, "", 0, self._secure)

    def clear(self, request: Request, response: Response) -> None:
        """Delete every cookie of the name that the request can have come with."""
        clear_session_cookies(request, response, self._settings, self._secure)
