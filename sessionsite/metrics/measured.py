"""A store around the app's own, which counts and times what is asked of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar

from ..sessions import (
    Connections,
    OwnerStore,
    Record,
    SessionCounts,
    SessionStore,
    SessionSummary,
    StoreError,
    Sweep,
)
from .instruments import Counter, Histogram, Instruments

T = TypeVar("T")


class MeasuredStore(SessionStore):
    """Passes everything on to `store`, its own attributes too."""

    def __init__(self, store: Any, instruments: Instruments) -> None:
        self._store = store
        self._instruments = instruments
        self.where = store.where
        self.durability = store.durability
        self.replication = store.replication
        self.noted: Sweep | None = None
        """The last run of this process's pruner."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _timed(self, operation: str, method: Callable[..., T], *args: Any) -> T:
        began = perf_counter()
        try:
            return method(*args)
        except StoreError:
            self._instruments.add(Counter.FAILED, label=operation)
            raise
        finally:
            self._instruments.observe(Histogram.STORE, perf_counter() - began, operation)

    def create(self, record: Record) -> None:
        self._timed("create", self._store.create, record)

    def load(self, id: str, now: datetime) -> Record | None:
        record: Record | None = self._timed("load", self._store.load, id, now)
        if record is not None:
            self._instruments.add(Counter.LOADED)
        return record

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        saved: bool = self._timed("save", self._store.save, record, expected_version, now)
        if saved:
            self._instruments.add(Counter.SAVED)
        return saved

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        wrote = False

        def noted(newest: Record) -> Record | None:
            nonlocal wrote
            changed = change(newest)
            wrote = changed is not newest and changed is not None
            return changed

        record: Record | None = self._timed("update", self._store.update, id, now, noted)
        if wrote:
            self._instruments.add(Counter.SAVED)
        return record

    def delete(self, id: str) -> bool:
        deleted: bool = self._timed("delete", self._store.delete, id)
        return deleted

    def prune(self, now: datetime, limit: int) -> int:
        deleted: int = self._timed("prune", self._store.prune, now, limit)
        self._instruments.add(Counter.PRUNED, deleted)
        return deleted

    def note_sweep(self, sweep: Sweep) -> None:
        self.noted = sweep
        self._store.note_sweep(sweep)

    def last_sweep(self) -> Sweep | None:
        last: Sweep | None = self._store.last_sweep()
        return last

    def try_write(self, now: datetime) -> None:
        self._store.try_write(now)

    def count_expired(self, now: datetime) -> int | None:
        count: int | None = self._store.count_expired(now)
        return count

    def remark(self) -> str | None:
        said: str | None = self._store.remark()
        return said

    def connections(self) -> Connections | None:
        found: Connections | None = self._store.connections()
        return found

    def close(self) -> None:
        self._store.close()

    def sweeping(self) -> AbstractContextManager[bool]:
        turn: AbstractContextManager[bool] = self._store.sweeping()
        return turn


class MeasuredOwnerStore(MeasuredStore, OwnerStore):
    """The same for an `OwnerStore`."""

    def sessions_of(self, owner: str, now: datetime) -> Sequence[SessionSummary]:
        found: Sequence[SessionSummary] = self._store.sessions_of(owner, now)
        return found

    def end_owner(
        self, owner: str, now: datetime, except_id: str | None = None
    ) -> Sequence[SessionSummary]:
        ended: Sequence[SessionSummary] = self._store.end_owner(owner, now, except_id)
        return ended

    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        result: T = self._store.with_owner_locked(owner, work)
        return result

    def latest(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        found: Sequence[SessionSummary] = self._store.latest(now, limit)
        return found

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Sequence[SessionSummary]]:
        batches: Iterator[Sequence[SessionSummary]] = self._store.end_older(
            now, created_before, seen_before
        )
        return batches

    def prune_batch(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        deleted: Sequence[SessionSummary]
        deleted = self._timed("prune", self._store.prune_batch, now, limit)
        self._instruments.add(Counter.PRUNED, len(deleted))
        return deleted

    def counts(self, now: datetime) -> SessionCounts:
        counted: SessionCounts = self._store.counts(now)
        return counted


def measured(store: SessionStore, instruments: Instruments) -> MeasuredStore:
    """Return `store`, measured; an `OwnerStore` stays one."""
    kind = MeasuredOwnerStore if isinstance(store, OwnerStore) else MeasuredStore
    return kind(store, instruments)
