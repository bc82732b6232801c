"""Faults of a store that fails, or is closed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from sessionsite.sessions import Record, StoreError
from tests.contract.broken.sound import DriverError, SoundStore, fault


@fault("the driver's errors pass")
class Raw(SoundStore):
    def ask(self) -> None:
        if self.away:
            raise DriverError


@fault("the driver's errors pass from prune")
class RawPrune(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        if self.away:
            raise DriverError
        return super().prune(now, limit)


@fault("the driver's errors pass from count_expired")
class RawCount(SoundStore):
    def count_expired(self, now: datetime) -> int:
        if self.away:
            raise DriverError
        return super().count_expired(now)


@fault("try_write writes nothing")
class WritesNothing(SoundStore):
    def try_write(self, now: datetime) -> None:
        return


@fault("the driver's errors pass from sweeping")
class RawSweeping(SoundStore):
    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        if self.away:
            raise DriverError
        with super().sweeping() as turn:
            yield turn


@fault("a failure does not name its cause")
class NoCause(SoundStore):
    def ask(self) -> None:
        if self.away:
            raise StoreError("it is away")


@fault("a failed load is None")
class FailsInSilence(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        with suppress(StoreError):
            return super().load(id, now)
        return None


@fault("a row that is no record is a KeyError")
class RaisesKeyError(SoundStore):
    def check(self, id: str) -> None:
        if id in self.spoilt:
            raise KeyError("payload")


@fault("a row that is no record is absent")
class HidesTheSpoilt(SoundStore):
    def load(self, id: str, now: datetime) -> Record | None:
        return None if id in self.spoilt else super().load(id, now)


@fault("a row that is no record can't be deleted")
class KeepsTheSpoilt(SoundStore):
    def delete(self, id: str) -> bool:
        self.check(id)
        return super().delete(id)


@fault("one row that is no record spoils all")
class SpoilsAll(SoundStore):
    def check(self, id: str) -> None:
        for each in self.spoilt:
            super().check(each)


@fault("nothing works after close")
class StaysClosed(SoundStore):
    def close(self) -> None:
        self.away = True


@fault("close twice raises")
class ClosesOnce(SoundStore):
    def close(self) -> None:
        if "closed" in self.gone:
            raise ValueError("already closed")
        self.gone.add("closed")


@fault("close drops the rows")
class ClosesWithItsRows(SoundStore):
    def close(self) -> None:
        self._records.clear()


@fault("close of one process closes all")
class ClosesAll(SoundStore):
    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        if rows is not None:
            self.gone = rows.gone
            self.gone.add("shared")

    def close(self) -> None:
        self.gone.add("closed")

    def ask(self) -> None:
        if {"shared", "closed"} <= self.gone:
            raise StoreError("the connection is closed")


@fault("no pruning gets past a row that is no record")
class PrunesNoFurther(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        for id_, row in self._records.items():
            if row.expired(now):
                self.check(id_)
        return super().prune(now, limit)
