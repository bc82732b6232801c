"""Owner stores whose lists are not of the rows as they are, or end too early."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sessionsite.sessions import RESERVED_OWNER, Record, SessionSummary
from tests.contract.broken.sound import SoundStore

Found = Sequence[SessionSummary]


class AsCreated(SoundStore):
    """Keeps the summary that a row was created with."""

    def create(self, record: Record) -> None:
        super().create(record)
        self.cache[record.id] = record

    def as_created(self, found: Found) -> list[SessionSummary]:
        return [
            SessionSummary.of(self.cache.get(each.id, self._records[each.id])) for each in found
        ]


class ListsAsCreated(AsCreated):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        listed = self.as_created(super().sessions_of(owner, now))
        return [replace(each, owner=owner) for each in listed]


class SortsAsCreated(AsCreated):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        found = super().sessions_of(owner, now)
        seen = {each.id: each.seen_at for each in self.as_created(found)}
        return sorted(found, key=lambda each: seen[each.id], reverse=True)


class LatestAsCreated(AsCreated):
    def latest(self, now: datetime, limit: int) -> Found:
        found = super().latest(now, 10**6)
        ends = {each.id: each.expires_at for each in self.as_created(found)}
        last = datetime.max.replace(tzinfo=now.tzinfo)
        return sorted(found, key=lambda each: ends[each.id] or last, reverse=True)[:limit]


class EndsOlderAsCreated(AsCreated):
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Found]:
        kept = [r for r in self._records.values() if self.cache[r.id].seen_at >= seen_before]
        kept += [r for r in self._records.values() if r.created_at >= created_before]
        yield self._end(self._live(now, lambda row: row not in kept))


class EndsABatch(SoundStore):
    """Ends the first batch of those that are older."""

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Found]:
        def is_meant(row: Record) -> bool:
            older = row.created_at < created_before and row.seen_at < seen_before
            return older and row.owner != RESERVED_OWNER

        yield self._end(self._live(now, is_meant)[:100])


class ListsTheDeleted(SoundStore):
    """Its index of owners is not told of `delete`."""

    def delete(self, id: str) -> bool:
        if id in self._records:
            self.cache[id] = self._records[id]
        return super().delete(id)

    def sessions_of(self, owner: str, now: datetime) -> Found:
        gone = [SessionSummary.of(row) for row in self.cache.values() if row.owner == owner]
        return [*super().sessions_of(owner, now), *gone]


class ListsAPage(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        return super().sessions_of(owner, now)[:100]


class EndsAPage(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        with self._lock:
            meant = self._live(now, lambda r: r.owner == owner and r.id != except_id)
            return self._end(meant[:100])


class KeepsWhatBeginsAlike(SoundStore):
    def end_owner(self, owner: str, now: datetime, except_id: str | None = None) -> Found:
        def is_meant(row: Record) -> bool:
            return row.owner == owner and not (except_id and row.id.startswith(except_id))

        with self._lock:
            return self._end(self._live(now, is_meant))


class PrunesWithoutLimit(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return len(super().prune_batch(now, limit))

    def prune_batch(self, now: datetime, limit: int) -> Found:
        return super().prune_batch(now, 10**6)


class PrunesTheOwnersLiving(SoundStore):
    def prune_batch(self, now: datetime, limit: int) -> Found:
        pruned = super().prune_batch(now, limit)
        owners = {each.owner for each in pruned} - {None}
        with self._lock:
            self._end(self._live(now, lambda row: row.owner in owners))
        return pruned


class ListsNoneBesideTheSpoilt(SoundStore):
    def sessions_of(self, owner: str, now: datetime) -> Found:
        found = super().sessions_of(owner, now)
        for each in found:
            self.check(each.id)
        return found


FAULTS: dict[str, Callable[..., SoundStore]] = {
    each.__name__: each
    for each in (
        ListsAsCreated, SortsAsCreated, LatestAsCreated, EndsOlderAsCreated, ListsTheDeleted,
        ListsAPage, EndsAPage, EndsABatch, KeepsWhatBeginsAlike, PrunesWithoutLimit,
        PrunesTheOwnersLiving, ListsNoneBesideTheSpoilt,
    )
}  # fmt: skip
