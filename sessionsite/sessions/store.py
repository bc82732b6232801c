"""The seam between the session factory and whatever keeps its rows.

The factory owns cookie, signature, secret, expiry, serialization and merging; a store owns rows
and nothing else. The time is always passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class StoreError(Exception):
    """The store can't be reached, or failed: the system's fault, never the visitor's.

    Raised `from` the driver's error. Its text names no password and no secret.
    """


class SessionEndedError(Exception):
    """The session has ended meanwhile: logged out, expired, or revoked."""


class RecordExistsError(ValueError):
    """`create` was given an id or a key that is taken."""


class MalformedRecordError(ValueError):
    """The row is there, but somebody's hand has put something into it that is no record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One session as a store keeps it. All times are aware, in UTC."""

    id: str
    """Random and public: the primary key, the same through every rotation."""
    key: bytes
    """SHA-256 of the secret in the cookie, unique. The secret itself is stored nowhere."""
    payload: str
    """JSON text, opaque to the store."""
    version: int
    """1 at creation, one more at each write; the store counts."""
    created_at: datetime
    seen_at: datetime
    """When it was last written or touched; not indexed."""
    expires_at: datetime | None
    """The nearer of idle and absolute end; None for a session that has neither. Indexed."""
    old_key: bytes | None = None
    """The key before the last rotation."""
    old_open: bool = False
    """It was rotated by time: the old secret still opens the session during the grace."""
    rotated_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def saved(self, payload: str, seen_at: datetime, expires_at: datetime | None) -> "Record":
        """Return the next version: what `SessionStore.save` makes of this record's row."""
        return Record(  # dataclasses.replace takes twice as long, and each page does this
            id=self.id,
            key=self.key,
            payload=payload,
            version=self.version + 1,
            created_at=self.created_at,
            seen_at=seen_at,
            expires_at=expires_at,
            old_key=self.old_key,
            old_open=self.old_open,
            rotated_at=self.rotated_at,
        )


class SessionStore(Protocol):
    """What the server factory asks of a store. Each method raises `StoreError` where it fails."""

    def create(self, record: Record) -> None:
        """Add `record` as version 1. Never overwrites: `RecordExistsError` if id or key is taken.

        Not the same as `save`: an upsert brings a session back to life that has just ended.
        """

    def load(self, key: bytes, now: datetime) -> Record | None:
        """Return the record whose key is `key`, or else the one whose old key it is.

        The caller tells the two apart by `Record.key`. Expired is absent: None.
        Raises `MalformedRecordError`.
        """

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        """Write payload, seen_at and expires_at to the row with this id: the fast path.

        Never creates, never changes a key. False, and nothing written, if the row is gone,
        expired, or at another version than `expected_version`.
        """

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        """Replace the newest record by what `change` makes of it, under the row's lock.

        `change` gets the newest record and returns another (all but id, version and created_at
        may differ), the same one to leave it as it is, or None to delete it; it may be called
        again, and must not call the store.
        Returns the record as stored; None if it is gone, expired, or now deleted. What `change`
        raises leaves the row as it was and reaches the caller.
        """

    def delete(self, id: str) -> None:
        """Remove the row; one that is absent already is fine."""

    def prune(self, now: datetime, limit: int) -> int:
        """Remove up to `limit` expired rows, return how many. Rows in use are left for later."""
