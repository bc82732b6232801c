"""A store in this process's memory, for tests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from threading import RLock

from . import forks
from .store import Record, RecordExistsError, SessionStore


class MemoryStore(SessionStore, forks.Forked):
    """A `SessionStore` in this process's memory: real, thread-safe, and gone with the process.

    A process that is forked off has a copy of its own.
    """

    where = "in the server's memory"

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = RLock()
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
        with self._lock:
            expired = [r.id for r in self._records.values() if r.expired(now)][:limit]
            for id_ in expired:
                del self._records[id_]
        return len(expired)

    def count_expired(self, now: datetime) -> int:
        with self._lock:
            return sum(record.expired(now) for record in self._records.values())
