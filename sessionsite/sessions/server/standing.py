"""Computes what a token is to a session: its own, one that was replaced, or a copy."""

import datetime as dt
from enum import Enum

from ..store import Record
from .expiry import Expiry
from .token_cookie import same_hash


class Standing(Enum):
    """What the token of a cookie is to the row with the cookie's id."""

    CURRENT = "it opens the session"
    OLD = "it was replaced by time; it opens the session, since answers may be under way"
    REPLACED = "it was replaced, and the last rotation was a moment ago; it opens nothing"
    LOST = "it was replaced, by a token that no request has presented yet; it opens nothing"
    REUSED = "it was replaced, by a token that has been presented since: a sign of theft"

    @property
    def opens(self) -> bool:
        return self in (Standing.CURRENT, Standing.OLD)


def standing(record: Record, token_hash: bytes, expiry: Expiry, now: dt.datetime) -> Standing:
    """Return what the token with this hash is to the session of `record`.

    The token comes from a cookie that we have signed for this session's id, so it is, or was, one
    of its tokens. A server sees tokens, not clients: a new token is confirmed when a request first
    presents it. Until then its answer may have been lost, and the client still has the token
    before.
    """
    if same_hash(record.token_hash, token_hash):
        return Standing.CURRENT
    just_rotated = expiry.just_rotated(record, now)
    is_old = same_hash(record.old_token_hash, token_hash)
    if is_old and record.old_token_valid and (just_rotated or not record.token_confirmed):
        return Standing.OLD
    if just_rotated:
        return Standing.REPLACED
    # A renewal keeps as the old token the one that its request came with. So a third token has been
    # replaced by one that was presented, or by one for a client that had not received it.
    if record.token_confirmed or (record.old_token_valid and not is_old):
        return Standing.REUSED
    return Standing.LOST
