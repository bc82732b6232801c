"""Faults of `create`, `load` and `delete`."""

import posixpath
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from time import sleep

from sessionsite.sessions import Record, RecordExistsError, StoreError
from tests.contract.broken.sound import Change, DriverError, SoundStore, clock, fault


@fault("create overwrites")
class Upserts(SoundStore):
    def create(self, record: Record) -> None:
        self._records.pop(record.id, None)
        super().create(record)


@fault("create ignores a taken id in silence")
class CreatesInSilence(SoundStore):
    def create(self, record: Record) -> None:
        with suppress(RecordExistsError):
            super().create(record)


@fault("create keeps the record's version")
class KeepsTheVersion(SoundStore):
    def create(self, record: Record) -> None:
        super().create(record)
        self._records[record.id] = record


@fault("a taken id is a StoreError")
class TakenIsFailure(SoundStore):
    def create(self, record: Record) -> None:
        try:
            super().create(record)
        except RecordExistsError as exc:
            raise StoreError("UNIQUE constraint failed") from exc


@fault("of parallel creates two succeed")
class ChecksThenCreates(SoundStore):
    def create(self, record: Record) -> None:
        self.ask()
        if record.id in self._records:
            raise RecordExistsError
        sleep(0.002)
        self._records[record.id] = replace(record, version=1)


@fault("a deleted id can't be created again")
class RemembersIds(SoundStore):
    def create(self, record: Record) -> None:
        if record.id in self.gone:
            raise RecordExistsError
        super().create(record)

    def delete(self, id: str) -> bool:
        self.gone.add(id)
        return super().delete(id)


@fault("a pruned id keeps its end in the index")
class StaleIndex(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        for id_ in [i for i in self.gone if i in self._records]:
            del self._records[id_]
        self.gone |= {r.id for r in self._records.values() if r.expired(now)}
        return super().prune(now, limit)


@fault("load does not look at the end")
class FindsExpired(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        self.ask()
        self.check(id)
        return self._records.get(id)


@fault("load finds an expired row by its old hash")
class FindsExpiredByTheOldHash(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        record = self._records.get(id)
        return record if record and record.old_token_hash else super().load(id, now)


@fault("load finds a row in its last instant")
class OneTickLate(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        return super().load(id, now - timedelta(microseconds=1))


@fault("load compares whole seconds")
class WholeSeconds(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        return super().load(id, now.replace(microsecond=0))


@fault("load goes by the clock")
class LoadsByTheClock(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        return super().load(id, clock())


@fault("load takes the old hash for the token's")
class PrefersTheOldHash(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        record = super().load(id, now)
        if record is None:
            return None
        return replace(record, token_hash=record.old_token_hash or record.token_hash)


@fault("load finds a row by its token's hash")
class FindsByHash(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        self.ask()
        self.check(id)
        named = (r for r in self._records.values() if id.encode() in (r.token_hash, r.id.encode()))
        return next((r for r in named if not r.expired(now)), None)


@fault("load pushes the end back")
class Touches(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        record = super().load(id, now)
        if record and record.expires_at:
            self._records[id] = replace(record, expires_at=record.expires_at + timedelta(hours=1))
        return record


@fault("load answers from a cache")
class Caches(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        record = super().load(id, now)
        return self.cache.setdefault(id, record) if record else None

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        self.cache.pop(record.id, None)
        return super().save(record, expected_version, now)

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        self.cache.pop(id, None)
        return super().update(id, now, change)

    def delete(self, id: str) -> bool:
        self.cache.pop(id, None)
        return super().delete(id)


@fault("a loaded record is the row itself")
class SharesItsRows(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        row = self._records.get(record.id)
        saved = super().save(record, expected_version, now)
        if saved and row:
            for name in ("payload", "version", "seen_at", "expires_at", "token_confirmed"):
                object.__setattr__(row, name, getattr(self._records[record.id], name))
            self._records[record.id] = row
        return saved


class FoldedIds(SoundStore):
    """Takes some ids for the same."""

    def fold(self, id: str) -> str:
        raise NotImplementedError

    def load(self, id: str, now: datetime) -> Record | None:
        same = [each for each in self._records if self.fold(each) == self.fold(id)]
        return super().load(same[0] if same else id, now)


@fault("upper and lower case are one")
class FoldsCase(FoldedIds):
    def fold(self, id: str) -> str:
        return id.lower()


@fault("an id is cut off")
class CutsIds(FoldedIds):
    def fold(self, id: str) -> str:
        return id[:21]


@fault("white space around an id is nothing")
class StripsIds(FoldedIds):
    def fold(self, id: str) -> str:
        return id.strip()


@fault("an id of digits is a number")
class NumericIds(FoldedIds):
    def fold(self, id: str) -> str:
        try:
            return str(float(id))
        except ValueError:
            return id


@fault("an id is a pattern")
class Patterns(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        pattern = re.escape(id).replace("_", ".").replace("%", ".*")
        matching = [each for each in self._records if re.fullmatch(pattern, each, re.DOTALL)]
        return super().load(id if id in matching or not matching else matching[0], now)


@fault("an id that can't be encoded is the codec's error")
class Encodes(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        return super().load(id.encode().decode(), now)


@fault("an id with a NUL is the driver's error")
class RefusesNul(SoundStore):
    def delete(self, id: str) -> bool:
        if "\0" in id:
            raise DriverError
        return super().delete(id)


@fault("delete returns None")
class DeleteSaysNothing(SoundStore):
    def delete(self, id: str) -> bool:
        super().delete(id)
        return None  # type: ignore[return-value]


@fault("delete always says True")
class DeleteSaysTrue(SoundStore):
    def delete(self, id: str) -> bool:
        super().delete(id)
        return True


@fault("delete of an absent row raises")
class DeleteRaises(SoundStore):
    def delete(self, id: str) -> bool:
        if id not in self._records:
            raise KeyError(id)
        return super().delete(id)


@fault("delete removes nothing")
class DeletesNothing(SoundStore):
    def delete(self, id: str) -> bool:
        return id in self._records


@fault("delete removes what begins alike")
class DeletesTooMuch(SoundStore):
    def delete(self, id: str) -> bool:
        for each in [each for each in self._records if each.startswith(id) and each != id]:
            super().delete(each)
        return super().delete(id)


@fault("delete leaves an expired row")
class DeletesTheAlive(SoundStore):
    def delete(self, id: str) -> bool:
        row = self._records.get(id)
        return (
            row is not None
            and row.expires_at != row.seen_at + timedelta(minutes=1)
            and (super().delete(id))
        )


@fault("of parallel deletes two succeed")
class ChecksThenDeletes(SoundStore):
    def delete(self, id: str) -> bool:
        there = id in self._records
        sleep(0.001)
        super().delete(id)
        return there


@fault("a save beside a delete revives the row")
class Revives(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        if newest is None or newest.version != expected_version:
            return False
        sleep(0.001)
        self._records[record.id] = newest.saved_as(record)
        return True


@fault("an id is a path")
class Paths(FoldedIds):
    def fold(self, id: str) -> str:
        return posixpath.normpath(id)
