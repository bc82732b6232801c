"""Stores as a first attempt has them: each breaks one promise, and the races must find it."""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import Any

from sessionsite.sessions.store import Record, RecordExistsError, SessionStore
from tests.races.stores import Change


class Naive:
    """A store around another."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class UpsertStore(Naive):
    """`save` creates what is not there: connect-pg-simple's INSERT ... ON CONFLICT DO UPDATE."""

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        if self._store.save(record, expected_version, now):
            return True
        try:
            self._store.create(record)
        except RecordExistsError:
            return False
        return True


class LastWriterWinsStore(Naive):
    """`save` writes the record as its request knew it, over what other requests have written."""

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return self._store.update(record.id, now, lambda _: record) is not None


class NoLockStore(Naive):
    """`update` reads, changes and writes, and another request does so in between."""

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        newest = self._store.update(id, now, lambda newest: newest)
        if newest is None:
            return None
        changed = change(newest)
        sleep(0.001)  # the window that is always there, wide enough to be hit each time
        return self._store.update(id, now, lambda _: changed)


class WriteBehindStore(Naive):
    """Writes once the response is on its way."""

    def __init__(self, store: SessionStore) -> None:
        super().__init__(store)
        self._threads = ThreadPoolExecutor(64)

    def _later(self, write: Callable[..., Any], *args: Any) -> None:
        self._threads.submit(contextvars.copy_context().run, write, *args)

    def create(self, record: Record) -> None:
        self._later(self._store.create, record)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        self._later(self._store.save, record, expected_version, now)
        return True

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        newest = self._store.load(id, now)
        changed = change(newest) if newest else None
        self._later(self._store.update, id, now, lambda _: changed)
        return changed


class ConfirmedStore(Naive):
    """Takes every token for one that has been presented: a lost answer looks like theft."""

    def load(self, id: str, now: datetime) -> Record | None:
        record = self._store.load(id, now)
        return replace(record, token_confirmed=True) if record else None

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        return self._store.update(
            id, now, lambda newest: change(replace(newest, token_confirmed=True))
        )


class GracelessStore(Naive):
    """Puts each rotation a day back: a request that was under way looks like theft."""

    def load(self, id: str, now: datetime) -> Record | None:
        record = self._store.load(id, now)
        return _a_day_back(record) if record else None

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        return self._store.update(id, now, lambda newest: change(_a_day_back(newest)))


def _a_day_back(record: Record) -> Record:
    rotated = record.rotated_at
    return replace(record, rotated_at=rotated - timedelta(days=1)) if rotated else record


class ForgetfulStore(Naive):
    """Keeps no token but the newest: whoever has lost its answer has lost the session."""

    def load(self, id: str, now: datetime) -> Record | None:
        record = self._store.load(id, now)
        return replace(record, old_token_hash=None) if record else None


class WallClockStore(Naive):
    """Stores the end of a session in local time, and reads it as UTC."""

    def create(self, record: Record) -> None:
        self._store.create(_by_the_wall(record))

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        return self._store.save(_by_the_wall(record), expected_version, now)


def _by_the_wall(record: Record) -> Record:
    assert record.expires_at is not None
    wall = record.expires_at.astimezone().replace(tzinfo=UTC)
    return replace(record, expires_at=wall)
