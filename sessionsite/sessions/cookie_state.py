"""What the cookie of the cookie factory holds, as JSON and back."""

import re
import secrets
from dataclasses import dataclass

from .payload import loads

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


def new_id() -> str:
    return secrets.token_urlsafe(16)
