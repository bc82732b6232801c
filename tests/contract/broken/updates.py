"""Faults of `update`, and of two processes that share a store."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime
from threading import Lock, RLock
from time import sleep

from sessionsite.sessions import Record, RecordExistsError, StoreError
from tests.contract.broken.sound import Change, SoundStore, clock, fault


class Updating(SoundStore):
    """An `update` of its own, step by step, for the faults below."""

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
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
            return self.write(newest, changed)

    def write(self, newest: Record, changed: Record) -> Record:
        stored = self.made(newest, changed)
        self._records[newest.id] = stored
        return stored

    def made(self, newest: Record, changed: Record) -> Record:
        version = newest.version + 1
        return replace(changed, id=newest.id, created_at=newest.created_at, version=version)


@fault("update lets created_at change")
class LetsCreatedAtChange(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        return replace(super().made(newest, changed), created_at=changed.created_at)


@fault("update lets id change")
class LetsIdChange(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        return replace(super().made(newest, changed), id=changed.id)


@fault("update returns what it was given, not what it stores")
class ReturnsTheChanged(Updating):
    def write(self, newest: Record, changed: Record) -> Record:
        super().write(newest, changed)
        return replace(changed, version=newest.version + 1)


@fault("update does not count")
class UpdateCountsNothing(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        return replace(super().made(newest, changed), version=newest.version)


@fault("update takes the version of the changed record")
class UpdateTakesTheVersion(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        return replace(super().made(newest, changed), version=changed.version)


@fault("update keeps a token two rotations old")
class KeepsTheOldest(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        oldest = newest.old_token_hash or changed.old_token_hash
        return replace(super().made(newest, changed), old_token_hash=oldest)


@fault("update can't take values away")
class TakesNothingAway(Updating):
    def made(self, newest: Record, changed: Record) -> Record:
        made = super().made(newest, changed)
        values = {f.name: getattr(made, f.name) or getattr(newest, f.name) for f in fields(made)}
        return Record(**values)


@fault("update returns a record and stores none")
class StoresNothing(Updating):
    def write(self, newest: Record, changed: Record) -> Record:
        return self.made(newest, changed)


@fault("update writes what it got back unchanged")
class WritesTheSame(Updating):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        def copied(newest: Record) -> Record | None:
            changed = change(newest)
            return changed and replace(changed)

        return super().update(id, now, copied)


@fault("update to None deletes nothing")
class KeepsTheDeleted(Updating):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        row = self._records.get(id)
        stored = super().update(id, now, change)
        if row:
            self._records.setdefault(id, row)
        return stored


@fault("update creates what is absent")
class UpdateCreates(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        if id not in self._records and (last := self.cache.get(id)):
            self._records[id] = last
        stored = super().update(id, now, change)
        if stored:
            self.cache[id] = stored
        return stored

    def create(self, record: Record) -> None:
        super().create(record)
        self.cache[record.id] = self._records[record.id]


@fault("update changes an expired row")
class UpdatesExpired(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        row = self._records.get(id)
        return super().update(id, row.created_at if row else now, change)


@fault("update calls change for an expired row")
class CallsForExpired(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        row = self._records.get(id)
        if row and row.expired(now):
            change(row)
            return None
        return super().update(id, now, change)


@fault("update goes by the clock")
class UpdatesByTheClock(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        return super().update(id, clock(), change)


@fault("update gives change a cached record")
class UpdatesTheCached(SoundStore):
    def create(self, record: Record) -> None:
        super().create(record)
        self.cache[record.id] = self._records[record.id]

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        return super().update(id, now, lambda newest: change(self.cache.get(id, newest)))


@fault("update calls change outside of the lock")
class NoLock(Updating):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        newest = self.load(id, now)
        if newest is None:
            return None
        changed = change(newest)
        sleep(0.001)
        return super().update(id, now, lambda again: again if changed is newest else changed)


@fault("each process has a lock of its own")
class OwnLock(NoLock):
    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        self.own = RLock()

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        with self.own:
            return super().update(id, now, change)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        with self.own:
            return super().save(record, expected_version, now)


@fault("update holds a lock that save does not ask for")
class SaveAsksForNoLock(OwnLock):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return SoundStore.save(self, record, expected_version, now)


@fault("an error in change is swallowed")
class Swallows(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        with suppress(ArithmeticError):
            return super().update(id, now, change)
        return None


@fault("an error in change is a StoreError")
class Wraps(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        try:
            return super().update(id, now, change)
        except KeyError as exc:
            raise StoreError("the row lacks a column") from exc


@fault("an error in change still writes")
class WritesInSpite(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        try:
            return super().update(id, now, change)
        except Exception:
            super().update(id, now, lambda newest: replace(newest, seen_at=now))
            raise


@fault("an interruption in change leaves the row locked")
class StaysLocked(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        try:
            stored = super().update(id, now, change)
        except Exception:
            raise
        except BaseException:
            self.gone.add(id)
            raise
        return stored

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        if record.id in self.gone:
            raise StoreError("timed out waiting for a lock")
        return super().save(record, expected_version, now)


@fault("each process has rows of its own")
class OwnRows(SoundStore):
    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__()


@fault("each process has a sweeper of its own")
class OwnSweeper(SoundStore):
    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        self.sweeper = SoundStore().sweeper


@fault("an update to an equal record is none")
class EqualIsTheSame(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        return super().update(id, now, lambda row: row if (new := change(row)) == row else new)


@fault("an error of the system in change is a StoreError")
class WrapsTheSystems(SoundStore):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        try:
            return super().update(id, now, change)
        except OSError as exc:
            raise StoreError("the connection is lost") from exc


@fault("each process creates behind a lock of its own")
class OwnLockOfCreates(SoundStore):
    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        self.creates = Lock()

    def create(self, record: Record) -> None:
        self.ask()
        with self.creates:
            taken = record.id in self._records
            sleep(0.001)
            if taken:
                raise RecordExistsError
            self._records[record.id] = replace(record, version=1)
