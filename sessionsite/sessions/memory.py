"""A store in this process's memory, for tests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from threading import RLock

from .store import Record, RecordExistsError


class MemoryStore:
    """A `SessionStore` in this process's memory: real, thread-safe, and gone with the process."""

    where = "in the server's memory"

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._lock = RLock()

    def create(self, record: Record) -> None:
        with self._lock:
            if any(r.id == record.id or r.key == record.key for r in self._records.values()):
                raise RecordExistsError("a session with this id or key exists")
            self._records[record.id] = replace(record, version=1)

    def load(self, key: bytes, now: datetime) -> Record | None:
        with self._lock:
            alive = [r for r in self._records.values() if not r.expired(now)]
        by_key = [r for r in alive if r.key == key]
        return next(iter(by_key or [r for r in alive if r.old_key == key]), None)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        with self._lock:
            newest = self._alive(record.id, now)
            if newest is None or newest.version != expected_version:
                return False
            self._records[record.id] = newest.saved(
                record.payload, record.seen_at, record.expires_at
            )
            return True

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        with self._lock:
            newest = self._alive(id, now)
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

    def delete(self, id: str) -> None:
        with self._lock:
            self._records.pop(id, None)

    def prune(self, now: datetime, limit: int) -> int:
        with self._lock:
            expired = [r.id for r in self._records.values() if r.expired(now)][:limit]
            for id_ in expired:
                del self._records[id_]
        return len(expired)

    def _alive(self, id: str, now: datetime) -> Record | None:
        record = self._records.get(id)
        return None if record is None or record.expired(now) else record
