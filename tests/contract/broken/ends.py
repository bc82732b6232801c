"""Faults of `prune`, `count_expired` and `sweeping`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from time import sleep

from sessionsite.sessions import Record, Sweep
from tests.contract.broken.sound import SoundStore, clock, fault


@fault("a prolonged session is never pruned")
class NeverPrunesProlonged(SoundStore):
    """Its index of ends loses a row that moves."""

    def prune(self, now: datetime, limit: int) -> int:
        moved = {id_: row for id_, row in self._records.items() if row.version > 1}
        for id_ in moved:
            del self._records[id_]
        pruned = super().prune(now, limit)
        self._records.update(moved)
        return pruned


@fault("a prolonged session is pruned by its first end")
class PrunesByTheFirstEnd(SoundStore):
    def create(self, record: Record) -> None:
        super().create(record)
        self.cache[record.id] = record

    def prune(self, now: datetime, limit: int) -> int:
        expired = [i for i in self._records if self.cache[i].expired(now)][:limit]
        return sum(self.delete(id_) for id_ in expired)


@fault("a session that an update has prolonged is never pruned")
class UpdateLeavesTheIndex(PrunesByTheFirstEnd):
    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved = super().save(record, expected_version, now)
        if saved:
            self.cache[record.id] = record
        return saved


@fault("prune ignores its limit")
class PrunesAll(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return super().prune(now, 1000)


@fault("prune takes its limit for a small number")
class PrunesWithSmallLimits(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        signed = (limit + 2**31) % 2**32 - 2**31
        return super().prune(now, max(0, signed))


@fault("prune removes one too few")
class PrunesFewer(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return super().prune(now, limit - 1)


@fault("prune removes rows without an end")
class PrunesEndless(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        endless = [id_ for id_, row in self._records.items() if row.expires_at is None]
        return sum(self.delete(id_) for id_ in endless) + super().prune(now, limit)


@fault("prune leaves a row for one more instant")
class PrunesLate(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return super().prune(now - timedelta(microseconds=1), limit)


@fault("prune takes a row one instant early")
class PrunesEarly(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return super().prune(now + timedelta(microseconds=1), limit)


@fault("prune goes by the clock")
class PrunesByTheClock(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return super().prune(clock(), limit)


@fault("prune only counts")
class PrunesNothing(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        return min(limit, self.count_expired(now))


@fault("prune does not count")
class PruneSaysNothing(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        super().prune(now, limit)
        return 0


@fault("prune looks, and deletes later")
class LooksThenPrunes(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        self.ask()
        expired = [r.id for r in list(self._records.values()) if r.expired(now)][:limit]
        sleep(0.001)
        for id_ in expired:
            self._records.pop(id_, None)
        return len(expired)


@fault("parallel prunes count a row twice")
class CountsTwice(SoundStore):
    def prune(self, now: datetime, limit: int) -> int:
        self.ask()
        expired = [r.id for r in list(self._records.values()) if r.expired(now)][:limit]
        sleep(0.002)
        for id_ in expired:
            row = self._records.get(id_)
            if row and row.expired(now):
                self._records.pop(id_, None)
        return len(expired)


@fault("count_expired counts every row")
class CountsAll(SoundStore):
    def count_expired(self, now: datetime) -> int:
        return len(self._records)


@fault("count_expired counts rows without an end")
class CountsEndless(SoundStore):
    def count_expired(self, now: datetime) -> int:
        rows = self._records.values()
        return sum(row.expires_at is None or row.expired(now) for row in rows)


@fault("count_expired misses the last instant")
class CountsLate(SoundStore):
    def count_expired(self, now: datetime) -> int:
        return super().count_expired(now - timedelta(microseconds=1))


@fault("count_expired goes by the clock")
class CountsByTheClock(SoundStore):
    def count_expired(self, now: datetime) -> int:
        return super().count_expired(clock())


@fault("the first pruning that was noted stays the last one")
class NotesOnce(SoundStore):
    def note_sweep(self, sweep: Sweep) -> None:
        if self.last_sweep() is None:
            super().note_sweep(sweep)


@fault("create overwrites an expired row")
class CreatesOverTheExpired(SoundStore):
    def create(self, record: Record) -> None:
        row = self._records.get(record.id)
        if row is not None and row.expired(record.seen_at):
            self.delete(record.id)
        super().create(record)


@fault("sweeping lets two in")
class TwoSweep(SoundStore):
    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        yield True


@fault("sweeping lets nobody in")
class NobodySweeps(SoundStore):
    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        yield False


@fault("sweeping ends with the first error")
class SweepsUntilAnError(SoundStore):
    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        turn = self.sweeper.acquire(blocking=False)
        yield turn
        if turn:
            self.sweeper.release()


@fault("sweeping swallows errors")
class SweepsInSilence(SoundStore):
    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        with suppress(ArithmeticError), super().sweeping() as turn:
            yield turn
