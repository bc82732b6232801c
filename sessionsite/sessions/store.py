"""The seam between the server factory and whatever keeps its rows: `SessionStore`, `Record`.

The factory owns cookie, signature, token, expiry, serialization and merging; a store owns rows and
nothing else. The time is always passed in. To plug in a store of your own, name a callable
`(settings) -> SessionStore` in `session.store`.
"""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol


def utc_now() -> datetime:
    """Return the time now, aware and in UTC: what is passed in where nobody passes in another."""
    return datetime.now(UTC)


class StoreError(Exception):
    """The store can't be reached, or failed: the system's fault, never the visitor's.

    Raised `from` the driver's error. Its text names no password, secret or token.
    """

    is_outage: ClassVar[bool] = True
    """Whether other requests must be expected to fail too; a subclass may say no."""
    noted: bool = False
    """Whether the process has taken note of this failure, for its log and its metrics."""


class StoreBusyError(StoreError):
    """A row or a connection was not had in time, or as many requests wait for one already as may
    (`session.max_waiting`).
    """

    is_outage = False


class MergeTooLargeError(StoreError):
    """Requests that ran at once have changed a list in more places than can be merged in time.

    Nothing of the later request is stored: it can be sent again.
    """

    is_outage = False


class SessionEndedError(Exception):
    """The session has ended meanwhile: logged out, expired, or revoked."""


class SessionLimitError(Exception):
    """The owner has as many sessions as `session.max_per_owner` allows, and gets no further one."""


class HeadersSentError(Exception):
    """What was put into the session needs a cookie, and the response's headers have left."""


class RecordExistsError(ValueError):
    """`create` was given an id that is taken."""


class MalformedRecordError(ValueError):
    """A row is there, but its values make no record: it was edited by hand."""


@dataclass(frozen=True, slots=True)
class Record:
    """One session as a store keeps it. All times are aware, in UTC."""

    id: str
    """Random and public: the primary key, the same through every rotation."""
    token_hash: bytes
    """SHA-256 of the token in the cookie; compared, never looked up. No store sees the token."""
    payload: str
    """JSON text, opaque to the store."""
    version: int
    """1 at creation, one more at each write; the store counts."""
    created_at: datetime
    """When the session began."""
    seen_at: datetime
    """When it was last written or touched; not indexed."""
    expires_at: datetime | None
    """The nearer of idle and absolute end; None for a session that has neither. Indexed."""
    old_token_hash: bytes | None = None
    """SHA-256 of the token before the last rotation."""
    old_token_valid: bool = False
    """The last rotation was by time: the old token still opens the session during the grace."""
    rotated_at: datetime | None = None
    """When the token was last replaced; None: never."""
    token_confirmed: bool = False
    """A request has presented the token: its answer was not lost. False again at each rotation."""
    owner: str | None = None
    """Whose session it is, in the app's own words: "user:42". Indexed."""
    label: str | None = None
    """What the app calls it: "Firefox on Debian"."""
    timeout: int | None = None
    """Seconds from the last use to its idle end; 0 for no such end, None for the settings'."""
    lifetime: int | None = None
    """Seconds from the creation to its absolute end; 0 for no such end, None for the settings'."""
    persistent: bool | None = None
    """Whether browsers keep its cookie when they are closed; None: as the settings say."""

    def expired(self, now: datetime) -> bool:
        """Return whether it has ended at `now`, aware."""
        return self.expires_at is not None and self.expires_at <= now

    def saved(
        self,
        payload: str,
        seen_at: datetime,
        expires_at: datetime | None,
        token_confirmed: bool,
    ) -> "Record":
        """Return the next version: this record with these values."""
        return Record(  # dataclasses.replace takes twice as long, and each page does this
            id=self.id,
            token_hash=self.token_hash,
            payload=payload,
            version=self.version + 1,
            created_at=self.created_at,
            seen_at=seen_at,
            expires_at=expires_at,
            old_token_hash=self.old_token_hash,
            old_token_valid=self.old_token_valid,
            rotated_at=self.rotated_at,
            token_confirmed=token_confirmed,
            owner=self.owner,
            label=self.label,
            timeout=self.timeout,
            lifetime=self.lifetime,
            persistent=self.persistent,
        )

    def saved_as(self, record: "Record") -> "Record":
        """Return what `SessionStore.save(record, …)` makes of this row: its next version."""
        return self.saved(record.payload, record.seen_at, record.expires_at, record.token_confirmed)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run of whatever deletes all expired rows."""

    ended_at: datetime
    """Aware, in UTC."""
    rows: int
    """How many were deleted."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections of one process to its store."""

    limit: int
    """How many there may be."""
    open: int
    """How many there are."""
    in_use: int
    """How many of these a statement has just now."""


class SessionStore(Protocol):
    """What the server factory asks of a store; `sessionsite.testing.StoreContract` tests it.

    Each method raises `StoreError` where the store fails. Six methods have to be written; a class
    that inherits from this one gets the others' defaults, which do for a store that only one
    process uses.
    """

    where: str = "in a store of the site's own"
    """Completes the sentence "Your session is kept …"."""
    durability: str = ""
    """Completes the sentence "What a page has shown you …"; empty where nothing is promised."""
    replication: str = ""
    """Completes the sentence "It is copied …"; empty where nothing is promised."""

    @abstractmethod
    def create(self, record: Record) -> None:
        """Add `record` as version 1; never overwrite. Raises `RecordExistsError` for a taken id.

        Not the same as `save`: an upsert brings a session back to life that has just ended.
        """

    @abstractmethod
    def load(self, id: str, now: datetime) -> Record | None:
        """Return the record with this id; None if there is none, or it has expired.

        Raises `MalformedRecordError`.
        """

    @abstractmethod
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        """Write payload, seen_at, expires_at and token_confirmed to the row: the fast path.

        Never creates, and never changes a token hash. Returns False, with nothing written, if the
        row with this id is gone, has expired, or is at another version than `expected_version`.
        """

    @abstractmethod
    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        """Replace the newest record by what `change` makes of it, under the row's lock.

        `change` gets the newest record and returns another (all but id, version and created_at
        may differ), the same one to leave it as it is, or None to delete it. It may be called
        again, and must not call the store.
        Returns the record as stored; None if it is gone, expired, or now deleted. An error that
        `change` raises leaves the row as it was, and reaches the caller.
        """

    @abstractmethod
    def delete(self, id: str) -> bool:
        """Remove the row, expired or malformed ones too; return whether there was one."""

    @abstractmethod
    def prune(self, now: datetime, limit: int) -> int:
        """Remove up to `limit` expired rows, return how many. Rows in use are left for later."""

    def count_expired(self, now: datetime) -> int | None:
        """Return how many rows there are to prune; None where that is not known."""
        return None

    def connections(self) -> Connections | None:
        """Return how many connections this process has; None for a store without."""
        return None

    def remark(self) -> str | None:
        """Return what is wrong with the store though it answers, for an operator; or None."""
        return None

    def try_write(self, now: datetime) -> None:
        """Raise `StoreError` unless what is written is kept; for the health check.

        No session has an empty id, so nothing is changed here: but a store that may not be written
        says so.
        """
        self.delete("")

    def close(self) -> None:
        """Give back what the store holds: connections, files. The next call may open them anew."""
        return

    def note_sweep(self, sweep: Sweep) -> None:
        """Keep what `last_sweep` returns, in place of the one before."""
        return

    def last_sweep(self) -> Sweep | None:
        """Return what was noted last, by any process; None where that is not known."""
        return None

    def sweeping(self) -> AbstractContextManager[bool]:
        """Return a context that is True for one process at a time, whose turn it is to prune."""
        return nullcontext(True)


def delete_live(store: SessionStore, id: str, now: datetime) -> tuple[bool, Record | None]:
    """Delete a row that has not expired; return whether there was one, and the row.

    Not `SessionStore.delete`, which finds expired rows too. The row is None as well where it can't
    be read, since it was edited by hand: it goes all the same.
    """
    deleted: list[Record] = []
    try:
        store.update(id, now, deleted.append)
    except MalformedRecordError:
        return store.delete(id), None
    return bool(deleted), deleted[-1] if deleted else None


def check_store(store: object) -> None:
    """Raise `TypeError` unless `store` has all that `SessionStore` promises."""
    promised = [name for name in dir(SessionStore) if not name.startswith("_")]
    missing = [name for name in promised if not hasattr(store, name)]
    if missing:
        raise TypeError(
            f"{type(store).__name__} is no SessionStore, it lacks {', '.join(missing)}: inherit "
            "from SessionStore, and write what has no default there"
        )
