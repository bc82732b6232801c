"""A store in this process's memory, for tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import TypeVar

from . import forks
from .own import RESERVED_OWNER
from .owner_store import OwnerStore, SessionCounts, SessionSummary
from .store import Record, RecordExistsError, Sweep

T = TypeVar("T")


class MemoryStore(OwnerStore, forks.Forked):
    """An `OwnerStore` in this process's memory: real, thread-safe, and gone with the process.

    A process that is forked off has a copy of its own.
    """

    where = "in the server's memory"
    durability = "is lost when the server's process ends"
    replication = "to no other machine"

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = RLock()
        self._last_sweep: Sweep | None = None
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        self._lock = RLock()  # each record is whole, whatever another thread was doing

    def create(self, record: Record) -> None:
        with self._lock:
            if record.id in self._records:
                raise RecordExistsError("a session with this id exists")
            self._records[record.id] = replace(record, version=1)

    def load(self, id: str, now: datetime) -> Record | None:
        with self._lock:
            record = self._records.get(id)
        return None if record is None or record.expired(now) else record

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        with self._lock:
            newest = self.load(record.id, now)
            if newest is None or newest.version != expected_version:
                return False
            self._records[record.id] = newest.saved_as(record)
            return True

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        with self._lock:
            newest = self.load(id, now)
            if newest is None:
                return None
            changed = change(newest)
            if changed is newest:
                return newest
            if changed is None:
                del self._records[id]
                return None
            self._records[id] = replace(
                changed, id=id, created_at=newest.created_at, version=newest.version + 1
            )
            return self._records[id]

    def delete(self, id: str) -> bool:
        with self._lock:
            return self._records.pop(id, None) is not None

    def prune(self, now: datetime, limit: int) -> int:
        return len(self.prune_batch(now, limit))

    def note_sweep(self, sweep: Sweep) -> None:
        self._last_sweep = sweep

    def last_sweep(self) -> Sweep | None:
        return self._last_sweep

    def count_expired(self, now: datetime) -> int:
        return self.counts(now).expired

    def sessions_of(self, owner: str, now: datetime) -> Sequence[SessionSummary]:
        with self._lock:
            found = self._live(now, lambda record: record.owner == owner)
        found.sort(key=lambda record: record.id)
        found.sort(key=lambda record: record.seen_at, reverse=True)
        return [SessionSummary.of(record) for record in found]

    def end_owner(
        self, owner: str, now: datetime, except_id: str | None = None
    ) -> Sequence[SessionSummary]:
        with self._lock:
            return self._end(
                self._live(now, lambda each: each.owner == owner and each.id != except_id)
            )

    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        with self._lock:
            before = dict(self._records)
            try:
                return work()
            except BaseException:
                self._records = before
                raise

    def latest(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        with self._lock:
            found = self._live(now, lambda record: record.owner != RESERVED_OWNER)
        endless = [record for record in found if record.expires_at is None]
        ending = [record for record in found if record.expires_at is not None]
        ending.sort(key=lambda record: record.expires_at or now, reverse=True)
        return [SessionSummary.of(record) for record in (endless + ending)[:limit]]

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Sequence[SessionSummary]]:
        def is_meant(record: Record) -> bool:
            return (
                record.owner != RESERVED_OWNER
                and record.created_at < created_before
                and record.seen_at < seen_before
            )

        with self._lock:
            deleted = self._end(self._live(now, is_meant))
        yield deleted

    def prune_batch(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        with self._lock:
            return self._end([r for r in self._records.values() if r.expired(now)][:limit])

    def counts(self, now: datetime) -> SessionCounts:
        with self._lock:
            expired = sum(record.expired(now) for record in self._records.values())
            records = [r for r in self._records.values() if r.owner != RESERVED_OWNER]
        owners = [record.owner for record in records if record.owner is not None]
        return SessionCounts(
            live=sum(not record.expired(now) for record in records),
            expired=expired,
            owned=len(owners),
            owners=len(set(owners)),
        )

    def _live(self, now: datetime, is_meant: Callable[[Record], bool]) -> list[Record]:
        return [r for r in self._records.values() if not r.expired(now) and is_meant(r)]

    def _end(self, records: Sequence[Record]) -> list[SessionSummary]:
        for record in records:
            del self._records[record.id]
        return [SessionSummary.of(record) for record in records]
