"""What `with_owner_locked` collects: changes to several rows, none of them stored before the end.

The rows are in slots of their own, so no script can write them all. Each row that is to change is
locked when it is read. At the end the owner's set is told first, then rows are written, then rows
are deleted. A process that dies in between leaves a session too many, which the owner's next login
ends; an owner is never left without the session that the others were ended for.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..store import Record, RecordExistsError, StoreError
from .owners import LapsedError, Owners, in_order
from .sessions import Sessions

_ANY = datetime.max.replace(tzinfo=UTC)  # of a row that is deleted whatever it is


@dataclass(slots=True)
class _Held:
    """A row that the transaction has: as it was, and as it is to be; None for none."""

    old: Record | None
    new: Record | None
    now: datetime
    whatever: bool = False
    """It is to be deleted, in any version."""
    stored: bool = False


class OwnerTransaction:
    """One thread's calls of the store, from an owner's lock to its end."""

    def __init__(self, sessions: Sessions, owners: Owners, owner: str, token: str) -> None:
        self._sessions = sessions
        self._owners = owners
        self._owner = owner
        self._token = token
        self._held: dict[str, _Held] = {}

    def create(self, record: Record) -> None:
        held = self._held.get(record.id)
        if held.new is not None if held else self._sessions.exists(record.id):
            raise RecordExistsError("a session with this id exists")
        if held is None:
            held = self._held[record.id] = _Held(None, None, record.created_at)
        held.new = replace(record, version=1)

    def load(self, id: str, now: datetime) -> Record | None:
        if id not in self._held:
            return self._sessions.load(id, now)
        new = self._held[id].new
        return None if new is None or new.expired(now) else new

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        newest = self._take(record.id, now)
        if newest is None or newest.version != expected_version:
            return False
        self._held[record.id].new = newest.saved_as(record)
        return True

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        newest = self._take(id, now)
        if newest is None:
            return None
        changed = change(newest)
        if changed is not None and changed is not newest:
            changed = replace(
                changed, id=id, created_at=newest.created_at, version=newest.version + 1
            )
        self._held[id].new = changed
        return changed

    def delete(self, id: str) -> bool:
        held = self._held.get(id)
        if held is None:
            held = self._held[id] = _Held(None, None, _ANY, whatever=self._sessions.exists(id))
            return held.whatever
        existed, held.new = held.new is not None, None
        return existed

    def sessions_of(self, owner: str, now: datetime) -> list[Record]:
        found = {each.id: each for each in self._owners.live(owner)}
        for id_, held in self._held.items():
            found.pop(id_, None)
            if held.new is not None and held.new.owner == owner:
                found[id_] = held.new
        return in_order([*found.values()], now)

    def end_owner(self, owner: str, now: datetime, except_id: str | None) -> list[Record]:
        ended = []
        for each in self.sessions_of(owner, now):
            newest = self._take(each.id, now) if each.id != except_id else None
            if newest is not None and newest.owner == owner:
                self._held[each.id].new = None
                ended.append(newest)
        return ended

    def _take(self, id: str, now: datetime) -> Record | None:
        """Return the newest record, whose lock is ours until the end."""
        if id not in self._held:
            newest = self._sessions.lock(id, now, self._token)
            if newest is None:
                return None
            self._held[id] = _Held(newest, newest, now)
        return self.load(id, now)

    def abandon(self) -> None:
        """End all locks that are left, and store nothing."""
        with suppress(StoreError):  # they lapse
            for id_, held in self._held.items():
                if held.old is not None and not held.stored:
                    self._sessions.release(id_, self._token)
            self._owners.release(self._owner, self._token)

    def commit(self) -> bool:
        """Store what has changed; False if a lock has lapsed, and nothing is stored.

        Raises `StoreError`; then part of it may be stored.
        """
        changed = {i: held for i, held in self._held.items() if held.new is not held.old}
        latest: dict[str, str] = {}
        for id_, held in changed.items():
            owner = held.new.owner if held.new else None
            if owner is None or (held.old is not None and held.old.owner == owner):
                continue
            token = self._token if owner == self._owner else ""
            try:
                latest[id_] = self._owners.reserve(owner, id_, token)
            except LapsedError:
                return False
        written = False
        for id_, held in changed.items():
            if held.new is not None:
                held.stored = self._write(held, held.new, latest.get(id_, ""))
                if written and not held.stored:
                    raise StoreError("an owner's lock has lapsed, and part of a change is stored")
                if not held.stored:
                    return False
                written = True
        for id_, held in self._held.items():
            if held.whatever:
                self._sessions.delete(id_)
            elif held.new is None and held.old is not None:
                held.stored = self._sessions.write(held.old, None, held.now, self._token)
                self._owners.forget([held.old] if held.stored else [])
        return True

    def _write(self, held: _Held, new: Record, latest: str) -> bool:
        if held.old is not None:
            return self._sessions.write(held.old, new, held.now, self._token, latest)
        if held.whatever:
            self._sessions.delete(new.id)
            held.whatever = False
        try:
            self._sessions.create(new, latest)
        except RecordExistsError:
            return False
        return True
