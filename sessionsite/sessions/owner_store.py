"""The second seam: what a store answers beyond one row, so that an owner's sessions can be found.

A `SessionStore` is a key and a value. Lists, bulk ends and the limit per owner need an index, and a
lock per owner: a store that has them is an `OwnerStore`.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar, runtime_checkable

from .store import Record, SessionStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session as its owner or an operator may see it: no data, no token, no hash.

    All times are aware, in UTC.
    """

    id: str
    """Random and public, safe to log."""
    owner: str | None
    """Whose it is; None for nobody's."""
    label: str | None
    """What the app calls it."""
    created_at: datetime
    """When it began."""
    seen_at: datetime
    """When it was last stored."""
    expires_at: datetime | None
    """When it ends if it is not used again; None for never."""
    lifetime: int | None = None
    """Its own lifetime, as in `Record`."""
    current: bool = False
    """It is the session of the request that asks."""

    @classmethod
    def of(cls, record: Record) -> "SessionSummary":
        """Return what may be seen of `record`."""
        return cls(
            id=record.id,
            owner=record.owner,
            label=record.label,
            created_at=record.created_at,
            seen_at=record.seen_at,
            expires_at=record.expires_at,
            lifetime=record.lifetime,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """How many rows a store has."""

    live: int
    """Those that have not expired."""
    expired: int
    """To be pruned; they open nothing."""
    owned: int
    """Those with an owner, expired ones among them."""
    owners: int
    """How many owners these have."""


@runtime_checkable
class OwnerStore(SessionStore, Protocol):
    """A store that finds sessions by their owner; `sessionsite.testing.OwnerContract` tests it.

    Each method raises `StoreError` where the store fails. All times are aware.
    What has expired at `now` is absent here as it is in `load`: it is left to the pruner. A row
    whose owner is `RESERVED_OWNER` is no session: `latest`, `end_older` and `counts` leave it out,
    until it has expired and is to be pruned like any other. A row that makes no record is left out
    of what is returned, and is in no other row's way.
    """

    @abstractmethod
    def sessions_of(self, owner: str, now: datetime) -> Sequence[SessionSummary]:
        """Return the owner's sessions, the last used first."""

    @abstractmethod
    def end_owner(
        self, owner: str, now: datetime, except_id: str | None = None
    ) -> Sequence[SessionSummary]:
        """Delete the owner's rows, that with `except_id` aside; return what was deleted.

        A row that gets this owner while the call runs is either deleted or newer than the call:
        whatever was the owner's when it began is gone when it returns.
        """

    @abstractmethod
    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        """Call `work`, and return what it returns; one caller at a time per owner, in any process.

        What `work` does to the store is one transaction: an error undoes it, and reaches the
        caller. `work` may be called again.
        """

    @abstractmethod
    def latest(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        """Return up to `limit` sessions, those that end last first."""

    @abstractmethod
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Sequence[SessionSummary]]:
        """Delete all rows that were created and last stored before these times.

        Yields what was deleted, batch by batch; each batch is deleted for good.
        """

    @abstractmethod
    def prune_batch(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        """Do what `prune` does, and return what was deleted."""

    @abstractmethod
    def counts(self, now: datetime) -> SessionCounts:
        """Count all rows."""
