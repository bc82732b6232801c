"""Owner stores whose lock per owner holds too little, or for too long."""

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import RLock
from time import sleep
from typing import Any

from sessionsite.sessions import RESERVED_OWNER, Record, SessionSummary, StoreError
from tests.contract.broken.sound import Change, SoundStore


class EachProcessItsOwn(SoundStore):
    """The lock is a thread's, and no other process has it."""

    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        self.owners = RLock()

    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        with self.owners:
            return work()

    def sessions_of(self, owner: str, now: datetime) -> Any:
        found = super().sessions_of(owner, now)
        sleep(0.001)
        return found


class Undoing(SoundStore):
    """What is done to `kept` rows under the lock is not undone."""

    def __init__(self, rows: SoundStore | None = None) -> None:
        super().__init__(rows)
        self.kept: dict[str, Record | None] = {}

    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        self.kept.clear()
        try:
            return super().with_owner_locked(owner, work)
        except BaseException:
            for id_, row in self.kept.items():
                self._records.pop(id_, None)
                if row is not None:
                    self._records[id_] = row
            raise


class UndoesNoUpdate(Undoing):
    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        self.kept[id] = super().update(id, now, change)
        return self.kept[id]


class UndoesNoDelete(Undoing):
    def delete(self, id: str) -> bool:
        self.kept[id] = None
        return super().delete(id)


class UndoesNoInterruption(SoundStore):
    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        outcome = []

        def caught() -> Any:
            try:
                return work()
            except Exception:
                raise
            except BaseException as exc:
                outcome.append(exc)

        returned = super().with_owner_locked(owner, caught)
        if outcome:
            raise outcome[0]
        return returned


class WrapsTheSystems(SoundStore):
    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        try:
            return super().with_owner_locked(owner, work)
        except OSError as exc:
            raise StoreError("the connection is lost") from exc


class StaysLocked(SoundStore):
    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        if not self._lock.acquire(timeout=0.1):
            raise StoreError("the lock was not had in time")
        returned = super().with_owner_locked(owner, work)
        self._lock.release()
        return returned


class StaysInItsTransaction(SoundStore):
    """Takes what follows a call that went well for a part of it, and undoes none of that."""

    inside = False

    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        if self.inside:
            with self._lock:
                return work()
        returned = super().with_owner_locked(owner, work)
        self.inside = True
        return returned


class RefusesToSaveInside(SoundStore):
    inside = False

    def with_owner_locked(self, owner: str, work: Callable[[], Any]) -> Any:
        self.inside = True
        try:
            return super().with_owner_locked(owner, work)
        finally:
            self.inside = False

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return not self.inside and super().save(record, expected_version, now)


class EndsOlderByAListFromBefore(SoundStore):
    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[list[SessionSummary]]:
        found = [
            row
            for row in self._records.copy().values()
            if row.created_at < created_before and row.seen_at < seen_before
            if row.owner != RESERVED_OWNER and not row.expired(now)
        ]
        with self._lock:
            ended = self._end(found)
        yield ended


FAULTS: dict[str, Callable[..., SoundStore]] = {
    each.__name__: each
    for each in (
        EachProcessItsOwn, UndoesNoUpdate, UndoesNoDelete, UndoesNoInterruption, WrapsTheSystems,
        StaysLocked, StaysInItsTransaction, RefusesToSaveInside, EndsOlderByAListFromBefore,
    )
}  # fmt: skip
