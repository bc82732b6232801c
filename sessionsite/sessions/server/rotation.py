"""Computes when a session gets its next token, and what the row is then.

Like `expiry.py` and `standing.py` it only computes.
"""

import datetime as dt
from dataclasses import replace

from ..payload import CSRF_KEY, loads
from ..store import Record
from .expiry import Expiry
from .token_cookie import Credentials, csrf_token_of, new_token, same_hash

MAX_CARRIED = 64  # characters of a CSRF token; ours has 40


class NextToken:
    """The token for the next cookie, and the CSRF token for a session that has none yet.

    The CSRF token is that of `came_with`, what the request's cookie holds; without a cookie it is
    made from the token.
    """

    __slots__ = ("_came_with", "_csrf_token", "_token")

    def __init__(self, came_with: Credentials | None = None) -> None:
        self._came_with = came_with
        self._csrf_token: str | None = None
        self._token: bytes | None = None

    def take(self) -> bytes:
        """Return the token, the same each time."""
        if self._token is None:
            self._token = new_token()
        return self._token

    @property
    def csrf_token(self) -> str:
        if self._csrf_token is None:
            came_with = self._came_with
            self._csrf_token = came_with.csrf_token if came_with else csrf_token_of(self.take())
        return self._csrf_token

    def credentials(self, record: Record, token: bytes) -> Credentials:
        """Return what the cookie of the session of `record` is to hold.

        It carries the session's CSRF token, or `csrf_token` if the session has none or one that
        does not fit into a cookie. A CSRF token that is made from the token is not carried.
        """
        own = csrf_token = self.csrf_token
        if f'"{CSRF_KEY}":"{csrf_token}"' not in record.payload and CSRF_KEY in record.payload:
            own = loads(record.payload).get(CSRF_KEY) or csrf_token
        if self._came_with is None and token is self._token:
            made = csrf_token
        else:
            made = csrf_token_of(token)
        carried = own if len(own) <= MAX_CARRIED else csrf_token
        return Credentials(record.id, token, "" if carried == made else carried)


def token_is_due(record: Record, presented: bytes | None, expiry: Expiry, now: dt.datetime) -> bool:
    """Return whether it is time for another token, or the last one's answer was lost.

    `presented`: the hash of the token that the request came with.
    """
    return expiry.renewal_is_due(record, now) or (
        not record.token_confirmed
        and not expiry.just_rotated(record, now)
        and same_hash(record.old_token_hash, presented)
    )


def rotated(
    used: Record,
    newest: Record,
    token_hash: bytes,
    *,
    presented: bytes | None,
    forced: bool,
    now: dt.datetime,
) -> Record:
    """Return `used`, the next version of `newest`, with a new token.

    `forced`: by `regenerate()`, so that the old token is dead at once.
    """
    # The client has the token that it came with, not one whose answer was lost.
    lost = not forced and same_hash(newest.old_token_hash, presented)
    return replace(
        used,
        token_hash=token_hash,
        old_token_hash=newest.old_token_hash if lost else newest.token_hash,
        old_token_valid=not forced,
        rotated_at=now,
        token_confirmed=False,
    )
