"""The session store on Valkey or Redis, one server or a cluster.

A session is one key, `PREFIX{s:ID}`, and every operation on it one script in its slot, so one round
trip: `create`, `load`, `save`, which compares versions; `update` takes two, since the app's change
runs in between, under a lock that lapses. `owners.py` says how an owner's sessions are found, and
why a crash between two keys does no harm; `transaction.py`, what `with_owner_locked` does.

The time is passed in, and is compared with a row's end in the script. The server's own expiry only
cleans up, a day later (`sessions.MARGIN`).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from threading import get_ident
from typing import TypeVar

from ..owner_store import OwnerStore, SessionCounts, SessionSummary
from ..store import Connections, MalformedRecordError, Record, StoreBusyError, StoreError, Sweep
from . import scripts
from .client import Client
from .keys import Keys
from .locking import Patience, new_token
from .owners import Owners, in_order
from .pruning import Pruning
from .rows import unpack
from .scanning import Scanner, record_of
from .sessions import Sessions
from .settings import ValkeySettings
from .transaction import OwnerTransaction

T = TypeVar("T")
_TRIES = 5  # of a change whose lock has lapsed
_SWEEPING = 300_000  # milliseconds after which another process may prune, if one has died


class ValkeyStore(OwnerStore):
    """`OwnerStore` on Valkey or Redis; thread-safe. Times are stored to the microsecond.

    Its methods are those of `SessionStore` and `OwnerStore`, and raise what these say.
    """

    where = "in the memory of a database server"
    durability = "is written to that server's disk within a second or so, if at all"

    def __init__(self, settings: ValkeySettings) -> None:
        self.settings = settings
        count = settings.wait_replicas
        self.replication = (
            f"to {count} other server{'s' * (count > 1)} before a page shows it"
            if count
            else "to other servers a moment later, if there are any"
        )
        self.client = Client(settings)
        self.keys = Keys(settings.prefix)
        patience = Patience(settings.timeout, self.client.room)
        self._sessions = Sessions(self.client, self.keys, patience, settings.timeout)
        self._owners = Owners(self.client, self.keys, patience, settings.timeout)
        self._scanner = Scanner(self.client, self.keys)
        self._pruning = Pruning(self._scanner, self._sessions, self._owners)
        self._inside: dict[int, OwnerTransaction] = {}  # by the thread

    def create(self, record: Record) -> None:
        if inside := self._inside.get(get_ident()):
            return inside.create(record)
        latest = self._owners.reserve(record.owner, record.id)
        return self._sessions.create(replace(record, version=1), latest)

    def load(self, id: str, now: datetime) -> Record | None:
        rows = self._inside.get(get_ident()) or self._sessions
        return rows.load(id, now)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        rows = self._inside.get(get_ident()) or self._sessions
        return rows.save(record, expected_version, now)

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        if inside := self._inside.get(get_ident()):
            return inside.update(id, now, change)
        for _ in range(_TRIES):
            token = new_token()
            newest = self._sessions.lock(id, now, token)
            if newest is None:
                return None
            try:
                changed = change(newest)
            except BaseException:
                self._release(id, token)
                raise
            if changed is newest:
                self._release(id, token)
                return newest
            if changed is not None:
                changed = replace(
                    changed, id=id, created_at=newest.created_at, version=newest.version + 1
                )
            if self._replace(newest, changed, now, token):
                return changed
        raise StoreBusyError("each time that the row was changed, another request was first")

    def _replace(self, old: Record, new: Record | None, now: datetime, token: str = "") -> bool:
        gets_owner = new is not None and new.owner != old.owner
        latest = self._owners.reserve(new.owner, old.id) if new and gets_owner else ""
        done = self._sessions.write(old, new, now, token, latest)
        if done and new is None:
            self._owners.forget([old])
        return done

    def _release(self, id: str, token: str) -> None:
        with suppress(StoreError):  # it lapses
            self._sessions.release(id, token)

    def delete(self, id: str) -> bool:
        if inside := self._inside.get(get_ident()):
            return inside.delete(id)
        row = self._sessions.delete(id)
        if row is not None:
            with suppress(MalformedRecordError):
                self._owners.forget([unpack(row, id)])
        return row is not None

    def prune(self, now: datetime, limit: int) -> int:
        """Remove rows that have expired, and live ones that their owner's set does not name."""
        return len(self._pruning.prune(now, limit))

    def prune_batch(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        pruned = [record_of(*each) for each in self._pruning.prune(now, limit)]
        return [SessionSummary.of(each) for each in pruned if each is not None]

    def connections(self) -> Connections | None:
        return self.client.connections()

    def try_write(self, now: datetime) -> None:
        # One that may only be read, is full, or lacks replicas that are waited for, refuses it.
        self.client.script(scripts.HEALTH, [self.keys.health], now.isoformat(), 86_400_000)

    def remark(self) -> str | None:
        evicting = sorted(self.client.policies() - {"noeviction"})
        if not evicting:
            return None
        return (
            f"a server that is full drops sessions (maxmemory-policy {', '.join(evicting)}): "
            "set maxmemory-policy noeviction"
        )

    def close(self) -> None:
        self.client.close()

    def note_sweep(self, sweep: Sweep) -> None:
        noted = [sweep.ended_at.isoformat(), sweep.rows, sweep.seconds]
        self.client.command("SET", self.keys.pruned, json.dumps(noted), key=self.keys.pruned)

    def last_sweep(self) -> Sweep | None:
        noted = self.client.command("GET", self.keys.pruned, key=self.keys.pruned)
        if noted is None:
            return None
        ended_at, rows, seconds = json.loads(noted)
        return Sweep(datetime.fromisoformat(ended_at), rows, seconds)

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        token = new_token()
        key = self.keys.sweeping
        turn = self.client.command("SET", key, token, "NX", "PX", _SWEEPING, key=key)
        try:
            yield bool(turn)
        finally:
            if turn:
                with suppress(StoreError):  # it lapses
                    self.client.script(scripts.RELEASE, [self.keys.pruned, key], token)

    def sessions_of(self, owner: str, now: datetime) -> Sequence[SessionSummary]:
        if inside := self._inside.get(get_ident()):
            found = inside.sessions_of(owner, now)
        else:
            found = in_order(self._owners.live(owner), now)
        return [SessionSummary.of(each) for each in found]

    def end_owner(
        self, owner: str, now: datetime, except_id: str | None = None
    ) -> Sequence[SessionSummary]:
        if inside := self._inside.get(get_ident()):
            return [SessionSummary.of(each) for each in inside.end_owner(owner, now, except_id)]
        ended = [
            gone
            for each in in_order(self._owners.live(owner), now)
            if each.id != except_id
            for gone in self._end(each, now, lambda newest: newest.owner == owner)
        ]
        return [SessionSummary.of(each) for each in ended]

    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        thread = get_ident()
        if thread in self._inside:
            return work()
        for _ in range(_TRIES):
            token = new_token()
            self._owners.lock(owner, token)
            inside = OwnerTransaction(self._sessions, self._owners, owner, token)
            try:
                self._inside[thread] = inside
                try:
                    answer = work()
                finally:
                    del self._inside[thread]
                if inside.commit():
                    return answer
            finally:
                inside.abandon()
        raise StoreBusyError("each time that the owner's sessions were changed, a lock had lapsed")

    def latest(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        return [SessionSummary.of(each) for each in self._scanner.latest(now, limit)]

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Sequence[SessionSummary]]:
        def is_meant(record: Record) -> bool:
            return record.created_at < created_before and record.seen_at < seen_before

        again = True
        while again:  # what is moved between two masters meanwhile may be missed the first time
            again = False
            for page in self._scanner.live(now):
                older = filter(is_meant, page)
                ended = [gone for each in older for gone in self._end(each, now, is_meant)]
                again = again or bool(ended)
                yield [SessionSummary.of(each) for each in ended]

    def _end(
        self, record: Record, now: datetime, is_meant: Callable[[Record], bool]
    ) -> Sequence[Record]:
        """Delete a row, unless it has become another one; return it, or nothing."""
        if self._replace(record, None, now):
            return [record]
        ended: list[Record] = []

        def end(newest: Record) -> Record | None:
            ended.clear()
            if not is_meant(newest):
                return newest
            ended.append(newest)
            return None

        with suppress(MalformedRecordError):
            if self.update(record.id, now, end) is not None:
                ended.clear()
        return ended

    def counts(self, now: datetime) -> SessionCounts:
        return self._scanner.counts(now)
