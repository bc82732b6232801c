"""Saves one session: what a request has changed goes into the row, and never over another's change.

The fast path is one statement. Where another request was first, the changes of both are merged
(`conflict.py`); a new token, an owner or a time-out goes in under the row's lock.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from ..events import EndReason, SessionCreated, SessionEnded, SessionMerged, SessionRotated
from ..owner_store import OwnerStore
from ..payload import EMPTY, check_size, dumps
from ..store import Record, SessionEndedError, SessionLimitError, delete_live
from .conflict import Conflict
from .owner_limit import make_room
from .rotation import NextToken, rotated, token_is_due
from .row import StoredRow
from .token_cookie import NewCookie, hash_token, new_token, same_hash

log = logging.getLogger(__name__)


class SessionRow(StoredRow):
    """What a request does to the row of its session.

    `ended`: the row that the next save deletes.
    """

    __slots__ = ("_detached", "_rotating", "ended")

    def __init__(self, record: Record | None, *, detached: bool = False, **options: Any) -> None:
        """`detached`: `regenerate()` has replaced the token just now. Nothing is stored, since the
        answer would take the newer cookie away from the browser.
        """
        self._detached = detached
        self._rotating = False
        self.ended: Record | None = None
        super().__init__(record, **options)

    def end(self) -> None:
        """Have the next save delete the row, and begin another session."""
        self._detached = self._rotating = False
        if self.record:
            self.ended = self.record
        self._begin(None)

    def rotate(self) -> None:
        """Have the next save give the session a new token."""
        # A second click on Login, or a lost answer: this one gets a session of its own.
        self._detached = False
        self._rotating = True
        self.next_token = NextToken()

    def touch(self) -> None:
        """Have the next save push the idle end back, even if that is not due yet."""
        self._touched = True

    def save(self, data: Mapping[str, Any]) -> str | None:
        """Store what is due: `data`, if it has changed, a new token, or a later end.

        Returns what is stored if it may differ from `data`. Raises `PayloadError`, `StoreError`,
        `SessionLimitError`.
        """
        if self._detached and (data or self._changes):
            log.info("Session %s: what a request with a replaced token put in is not kept", self.id)
        if self.spent or self._detached:
            return None
        try:
            self._delete_ended()  # first: a logout holds, whatever becomes of the rest
            if self.spent:
                return None
            record = self.record
            payload = self._text(data, record.payload if record else "")
            owner = self._changes.get("owner")
            if owner is None or self._settings.max_per_owner is None:
                newest = self._store_due(payload, self._now())
            else:
                newest = self._claim(owner, payload)
            self._changes.clear()
            self._touched = False
            return newest
        finally:
            if self._facts:
                self._tell_facts()

    def _store_due(self, payload: str, now: datetime) -> str | None:
        record = self.record
        if record is None:
            if payload != EMPTY or self._changes:
                self._create(payload, now)
            return None
        if self._rotating or token_is_due(record, self._presented, self._expiry, now):
            return self._give_new_token(record, payload, now)
        if self._changes:
            changed = self._changed(record)
            if self._expiry.needs_cookie(record, changed, self._settings.max_age):
                return self._give_new_token(record, payload, now, always=True)
            return self._update_used(record, Conflict(record.payload, payload, self._call), now)
        if payload != record.payload:
            return self._write(record, payload, now)
        ends_at, confirmed = self._due(record, now)
        if (
            self._touched
            or ends_at != record.expires_at
            # the first token has replaced no other, so there is no need to confirm it
            or (record.rotated_at and confirmed != record.token_confirmed)
        ):
            # If this returns False, another request saved first, and has extended the expiry.
            self._save_fast(record, payload, now)
        return None

    def _claim(self, owner: str, payload: str) -> str | None:
        """Store what is due for a session that gets an owner, of which there may be too many."""
        store = cast(OwnerStore, self._store)
        now = self._now()
        before = (self.record, self.answer, self._rotating)
        told = len(self._facts)

        def work() -> str | None:
            # Another try, perhaps: the one before has stored nothing.
            self.record, self.answer, self._rotating = before
            del self._facts[told:]
            newest = self._store_due(payload, now)
            if not self.spent:
                for each in make_room(store, self._settings, owner, self.id, now):
                    reason = EndReason.LIMIT
                    self._facts.append((SessionEnded, each.id, each.owner, {"reason": reason}))
            return newest

        try:
            newest: str | None = self._call(store.with_owner_locked, owner, work)
        except BaseException as exc:
            del self._facts[told:]
            self.record, self.answer, self._rotating = before
            if isinstance(exc, SessionLimitError):
                self._changes.clear()
                self._rotating = False
            raise
        return newest

    def _text(self, data: Mapping[str, Any], before: str) -> str:
        """Return `data` as it is stored. Raises `PayloadError`."""
        payload = self.dumps(data, before)
        # It may stay as large as a merge, or another `max_bytes`, has left it.
        limit = max(self._settings.max_bytes, len(before))
        check_size(data, len(payload), limit, "session.max_bytes")
        return payload

    def dumps(self, data: Mapping[str, Any], stored: str = "") -> str:
        return dumps(data, stored, coerce_keys=self._settings.coerce_keys)

    @property
    def has_changes(self) -> bool:
        """Whether owner, label or a time-out has changed, and is not stored."""
        return bool(self._changes)

    def transact(self, ours: Mapping[str, Any], change: Callable[[str], Mapping[str, Any]]) -> None:
        """Store what `change` makes of the newest payload, with `ours` merged in, under the lock.

        Raises `SessionEndedError`, `PayloadError`, `StoreError`, and what `change` raises.
        """
        if self._detached:  # as with any other change, nothing is stored
            change(self.dumps(ours))
            return
        try:
            self._delete_ended()
            if self.spent:
                raise SessionEndedError(f"session {self.id} has ended")
            now = self._now()
            payload = self._text(ours, self.record.payload if self.record else "")
            base = self.record or self._create(payload, now)

            def apply(newest: Record, merged: str) -> Record:
                return self._used(newest, self._text(change(merged), merged), now)

            if self._update(base.id, Conflict(base.payload, payload, self._call), apply) is None:
                raise SessionEndedError(f"session {self.id} has ended")
        finally:
            if self._facts:
                self._tell_facts()

    def _create(self, payload: str, now: datetime) -> Record:
        token = self.next_token.take()
        record = self._fresh(payload, now, hash_token(token))
        self._call(self._store.create, record)
        self.record = record
        self._happened(SessionCreated)
        self._send(record, token, now)
        self._rotating = False
        return record

    def announce(self, token: bytes) -> None:
        """Have the browser told of `token`, which the row has already."""
        assert self.record is not None
        self._send(self.record, token, self._now())

    def _send(self, record: Record, token: bytes, now: datetime) -> None:
        self.answer = NewCookie(
            self.next_token.credentials(record, token),
            self._expiry.cookie_age(record, now, self._settings.max_age),
        )

    def _write(self, record: Record, payload: str, now: datetime) -> str | None:
        if self._save_fast(record, payload, now):
            return None
        conflict = Conflict(record.payload, payload, self._call)
        while conflict.tries:
            newest = self._found(record.id, self._store.load)
            if newest is None:
                return None
            merged = conflict.merge(newest.payload)
            if self._save_fast(newest, merged, now):
                self._happened(SessionMerged)
                return merged
        return self._update_used(record, conflict, now)

    def _update_used(self, record: Record, conflict: Conflict, now: datetime) -> str | None:
        return self._update(record.id, conflict, lambda row, merged: self._used(row, merged, now))

    def _save_fast(self, record: Record, payload: str, now: datetime) -> bool:
        """Save in one statement; return False if the row is at another version, or gone."""
        used = self._used(record, payload, now)
        if written := self._call(self._store.save, used, record.version, now):
            self.record = used
        return written

    def _give_new_token(
        self, record: Record, payload: str, now: datetime, *, always: bool = False
    ) -> str | None:
        """Store a new token; `always`: even if a parallel request has just done so."""
        forced = self._rotating
        token = self.next_token.take() if forced else new_token()
        token_hash = hash_token(token)

        def change(newest: Record, merged: str) -> Record:
            used = self._used(newest, merged, now)
            renewed = not same_hash(newest.token_hash, record.token_hash)
            if renewed and not forced and not always:
                return used  # a parallel request has renewed it, and the browser has its cookie
            return rotated(
                used, newest, token_hash, presented=self._presented, forced=forced, now=now
            )

        newest = self._update(record.id, Conflict(record.payload, payload, self._call), change)
        if newest is not None:
            self._rotating = False
            if self.record and same_hash(self.record.token_hash, token_hash):
                self._happened(SessionRotated)
                self._send(self.record, token, now)
        return newest

    def _delete_ended(self) -> None:
        if self.ended is None:
            return
        record, self.ended = self.ended, None
        ended, _ = self._call(delete_live, self._store, record.id, self._now())
        # Only a request that ends a live session may clear the cookie, since the visitor may have a
        # newer one by now.
        if ended:
            self.answer = "end"
            self._happened(SessionEnded, record, reason=EndReason.LOGOUT)
        else:
            self.spend()
            log.info("Session %s: ended while a request was using it", record.id)
