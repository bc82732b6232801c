"""Faults of `save`."""

from dataclasses import replace
from datetime import datetime
from time import sleep

from sessionsite.sessions import Record
from tests.contract.broken.sound import SoundStore, clock, fault


@fault("save creates")
class SaveCreates(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        self._records.setdefault(record.id, record)
        return super().save(record, expected_version, now)


@fault("save writes over another version")
class LastWriterWins(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        return newest is not None and super().save(record, newest.version, now)


@fault("save does not count")
class SaveCountsNothing(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            self._records[record.id] = replace(self._records[record.id], version=expected_version)
        return saved


@fault("save takes the record's version")
class SaveTakesTheVersion(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            self._records[record.id] = replace(self._records[record.id], version=record.version + 1)
        return saved


@fault("save counts only what differs")
class SaveSkipsTheSame(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        if newest and newest.saved_as(record) == replace(newest, version=newest.version + 1):
            return True
        return super().save(record, expected_version, now)


@fault("save answers with a number")
class SaveAnswersWithANumber(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return int(super().save(record, expected_version, now))  # type: ignore[return-value]


@fault("save writes the token's hashes")
class SaveWritesAll(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            self._records[record.id] = replace(record, version=expected_version + 1)
        return saved


@fault("save writes no payload")
class SaveForgetsThePayload(SoundStore):
    names = ("payload",)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        kept = {name: getattr(newest, name) for name in self.names} if newest else {}
        return super().save(replace(record, **kept), expected_version, now)


@fault("save writes no seen_at")
class SaveForgetsSeenAt(SaveForgetsThePayload):
    names = ("seen_at",)


@fault("save writes no expires_at")
class SaveForgetsTheEnd(SaveForgetsThePayload):
    names = ("expires_at",)


@fault("save writes no token_confirmed")
class SaveForgetsToConfirm(SaveForgetsThePayload):
    names = ("token_confirmed",)


@fault("save can't take an end away")
class SaveKeepsTheEnd(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        end = record.expires_at or (newest.expires_at if newest else None)
        return super().save(replace(record, expires_at=end), expected_version, now)


@fault("save writes an expired row")
class SavesExpired(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        row = self._records.get(record.id)
        then = row.created_at if row else now
        return super().save(record, expected_version, then)


@fault("save goes by the new end, not by the row's")
class SavesToLife(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        row = self._records.get(record.id)
        then = row.created_at if row and not record.expired(now) else now
        return super().save(record, expected_version, then)


@fault("save goes by the clock")
class SavesByTheClock(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return super().save(record, expected_version, clock())


@fault("save writes every row")
class SavesEverywhere(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            for id_, row in self._records.items():
                self._records[id_] = replace(row, payload=record.payload)
        return saved


@fault("of parallel saves two succeed")
class ChecksThenSaves(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self.load(record.id, now)
        sleep(0.002)
        if newest is None or newest.version != expected_version:
            return False
        self._records[record.id] = newest.saved_as(record)
        return True


@fault("a save of a row that was saved before revives it")
class RevivesTheSaved(SoundStore):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        if expected_version > 1 and record.id in self.gone:
            super().create(record)
            return True
        return super().save(record, expected_version, now)

    def delete(self, id: str) -> bool:
        self.gone.add(id)
        return super().delete(id)


@fault("a reader sees half of a save")
class SavesInSteps(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        row = self._records.get(id)  # without the lock
        return None if row is None or row.expired(now) else row

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        with self._lock:
            newest = self.load(record.id, now)
            if newest is None or newest.version != expected_version:
                return False
            self._records[record.id] = replace(newest, payload=record.payload)
            sleep(0.001)
            self._records[record.id] = newest.saved_as(record)
            return True
