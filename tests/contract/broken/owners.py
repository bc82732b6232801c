"""Owner stores that break one promise each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sessionsite.sessions import Record, SessionCounts, SessionSummary
from tests.contract.broken.sound import SoundStore

Found = Sequence[SessionSummary]


class Reversed(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        return list(super().sessions_of(owner, now))[::-1]


class AnyCase(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        with self._lock:
            found = self._live(now, lambda r: (r.owner or "").lower() == owner.lower())
        return [SessionSummary.of(record) for record in found]


class TheExpiredToo(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        return [SessionSummary.of(r) for r in self._records.values() if r.owner == owner]


class NoLabels(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        return [replace(each, label=None) for each in super().sessions_of(owner, now)]


class OwnerOfTheFirst(SoundStore):
    """Keeps the owner that a row was created with."""

    def update(self, id: str, now: datetime, change: Any) -> Record | None:
        return super().update(
            id, now, lambda row: (changed := change(row)) and replace(changed, owner=row.owner)
        )


class SaveTakesTheOwner(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            self._records[record.id] = replace(self._records[record.id], owner=record.owner)
        return saved


class EndsTheOneToKeep(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        return super().end_owner(owner, now)


class EndsTheFirstAlone(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        with self._lock:
            return self._end(self._live(now, lambda r: r.owner == owner and r.id != except_id)[:1])


class EndsNobodysToo(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        with self._lock:
            return self._end(
                self._live(now, lambda r: r.owner in (owner, None) and r.id != except_id)
            )


class EndsByAnOldList(SoundStore):
    """Reads, and deletes what it has read, whatever has changed in between."""

    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        found = [s for s in [SessionSummary.of(r) for r in list(self._records.values())]
                 if s.owner == owner and s.id != except_id
                 and (s.expires_at is None or s.expires_at > now)]  # fmt: skip
        for each in found:
            self.delete(each.id)
        return found


class TellsNothing(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        super().end_owner(owner, now, except_id)
        return []


class NoLock(SoundStore):
    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        return work()


class UndoesNothing(SoundStore):
    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        with self._lock:
            return work()


class LatestFirstMade(SoundStore):
    def latest(self, now: datetime, limit: int) -> Found:
        return list(super().latest(now, 10**6))[::-1][:limit]


class LatestWithoutEnd(SoundStore):
    def latest(self, now: datetime, limit: int) -> Found:
        return super().latest(now, 10**6)


class EndsTheUsedToo(SoundStore):
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Found]:
        return super().end_older(now, created_before, datetime.max.replace(tzinfo=now.tzinfo))


class EndsTheYoungToo(SoundStore):
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Found]:
        return super().end_older(now, datetime.max.replace(tzinfo=now.tzinfo), seen_before)


class EndsTheMarkers(SoundStore):
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Found]:
        with self._lock:
            yield self._end(
                self._live(now, lambda r: r.created_at < created_before and r.seen_at < seen_before)
            )


class PrunesInSilence(SoundStore):
    def prune_batch(self, now: datetime, limit: int) -> Found:
        super().prune_batch(now, limit)
        return []


class CountsTheExpired(SoundStore):
    def counts(self, now: datetime) -> SessionCounts:
        counts = super().counts(now)
        return replace(counts, live=counts.live + counts.expired)


class CountsNoOwners(SoundStore):
    def counts(self, now: datetime) -> SessionCounts:
        counts = super().counts(now)
        return replace(counts, owners=counts.owned)


FAULTS: dict[str, Callable[..., SoundStore]] = {
    each.__name__: each
    for each in (
        Reversed, AnyCase, TheExpiredToo, NoLabels, OwnerOfTheFirst, SaveTakesTheOwner,
        EndsTheOneToKeep, EndsTheFirstAlone, EndsNobodysToo, EndsByAnOldList, TellsNothing, NoLock,
        UndoesNothing, LatestFirstMade, LatestWithoutEnd, EndsTheUsedToo, EndsTheYoungToo,
        EndsTheMarkers, PrunesInSilence, CountsTheExpired, CountsNoOwners,
    )
}  # fmt: skip
