"""What a request does to the row of its session: create, save, merge, rotate, end."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from ..data import new_id
from ..payload import EMPTY, check_size, dumps
from ..settings import ServerSettings
from ..store import MalformedRecordError, Record, SessionEndedError, SessionStore, StoreError
from .conflict import Conflict
from .expiry import Expiry
from .rotation import NextToken, rotated, token_is_due
from .token_cookie import Answer, Credentials, hash_token, new_token, same_hash

log = logging.getLogger(__name__)
T = TypeVar("T")


class SessionRow:
    """The row of one session, during one request.

    `record`: the row as last read or written, which a save compares with, and merges against.
    `spent`: nothing more is stored; the session has ended, or it is unknown what was stored.
    `ended_id`: the row that the next save deletes. `answer`: what the browser is to be told.
    """

    __slots__ = (
        "_detached", "_expiry", "_now", "_presented", "_rotating", "_settings", "_store",
        "_touched", "answer", "created_at", "ended_id", "id", "next_token", "record", "seen_at",
        "spent",
    )  # fmt: skip

    def __init__(
        self,
        record: Record | None,
        *,
        store: SessionStore,
        expiry: Expiry,
        now: Callable[[], datetime],
        settings: ServerSettings,
        presented: bytes | None = None,
        came_with: Credentials | None = None,
        detached: bool = False,
    ) -> None:
        """`presented`: the hash of the token that opens the session. `came_with`: what the cookie
        of the request holds, even if it opens nothing.

        `detached`: `regenerate()` has replaced the token just now. Nothing is stored, since the
        answer would take the newer cookie away from the browser.
        """
        self._store = store
        self._expiry = expiry
        self._now = now
        self._presented = presented
        self._settings = settings
        self._detached = detached
        self.ended_id: str | None = None
        self.spent = False
        self.answer: Answer = None
        self._begin(record, came_with)

    def _begin(self, record: Record | None, came_with: Credentials | None = None) -> None:
        self.record = record
        self.next_token = NextToken(came_with)
        self._rotating = self._touched = False
        if record is None:
            self.id = new_id()
            self.created_at = self.seen_at = self._now()
        else:
            self.id = record.id
            self.created_at = record.created_at
            self.seen_at = record.seen_at

    @property
    def expires_at(self) -> datetime | None:
        now = self._now()
        if self.record is None:
            return self._expiry.ends_at(self.created_at, now, is_new=True)
        return self._due(self.record, now)[0]

    def end(self) -> None:
        """Have the next save delete the row, and begin another session."""
        self._detached = False
        if self.record:
            self.ended_id = self.record.id
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

    def spend(self) -> None:
        """Store nothing more, and tell the browser nothing: it may hold a newer cookie by now."""
        self.spent = True
        self.answer = None

    def save(self, data: Mapping[str, Any]) -> str | None:
        """Store what is due: `data`, if it has changed, a new token, or a later end.

        Returns what is stored if it may differ from `data`. Raises `PayloadError`, `StoreError`.
        """
        if self._detached and data:
            log.info("Session %s: what a request with a replaced token put in is not kept", self.id)
        if self.spent or self._detached:
            return None
        self._delete_ended()  # first: a logout holds, whatever becomes of the rest
        if self.spent:
            return None
        record, newest, now = self.record, None, self._now()
        payload = self._text(data, record.payload if record else "")
        if record is None:
            if payload != EMPTY:
                self._create(payload, now)
        elif self._rotating or token_is_due(record, self._presented, self._expiry, now):
            newest = self._give_new_token(record, payload, now)
        else:
            ends_at, confirmed = self._due(record, now)
            if payload != record.payload:
                newest = self._write(record, payload, now)
            elif (
                self._touched
                or ends_at != record.expires_at
                # the first token has replaced no other, so there is no need to confirm it
                or (record.rotated_at and confirmed != record.token_confirmed)
            ):
                # If this returns False, another request saved first, and has extended the expiry.
                self._save_fast(record, payload, now)
        self._touched = False
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

    def transact(self, ours: Mapping[str, Any], change: Callable[[str], Mapping[str, Any]]) -> None:
        """Store what `change` makes of the newest payload, with `ours` merged in, under the lock.

        Raises `SessionEndedError`, `PayloadError`, `StoreError`, and what `change` raises.
        """
        if self._detached:  # as with any other change, nothing is stored
            change(self.dumps(ours))
            return
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

    def reload(self) -> str:
        """Read the row anew, and return its payload; that of no row is empty.

        Raises `SessionEndedError`, `StoreError`.
        """
        if self.record is None:
            return EMPTY
        id_, update = self.record.id, self._store.update
        newest = None if self.spent else self._found(id_, update, lambda row: row)
        if newest is None:
            raise SessionEndedError(f"session {self.id} has ended")
        return newest.payload

    def _create(self, payload: str, now: datetime) -> Record:
        token = self.next_token.take()
        record = Record(
            id=self.id,
            token_hash=hash_token(token),
            payload=payload,
            version=1,
            created_at=self.created_at,
            seen_at=now,
            expires_at=self._expiry.ends_at(self.created_at, now, is_new=True),
        )
        self._call(self._store.create, record)
        log.info("Session %s: created", self.id)
        self.answer = self.next_token.credentials(record, token)
        self._rotating = False
        self.record = record
        return record

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
                return merged
        return self._update(record.id, conflict, lambda row, merged: self._used(row, merged, now))

    def _save_fast(self, record: Record, payload: str, now: datetime) -> bool:
        """Save in one statement; return False if the row is at another version, or gone."""
        used = self._used(record, payload, now)
        if written := self._call(self._store.save, used, record.version, now):
            self.record = used
        return written

    def _give_new_token(self, record: Record, payload: str, now: datetime) -> str | None:
        forced = self._rotating
        token = self.next_token.take() if forced else new_token()
        token_hash = hash_token(token)

        def change(newest: Record, merged: str) -> Record:
            used = self._used(newest, merged, now)
            if not forced and not same_hash(newest.token_hash, record.token_hash):
                return used  # a parallel request has renewed it, and the browser has its cookie
            return rotated(
                used, newest, token_hash, presented=self._presented, forced=forced, now=now
            )

        newest = self._update(record.id, Conflict(record.payload, payload, self._call), change)
        if newest is not None:
            self._rotating = False
            if self.record and same_hash(self.record.token_hash, token_hash):
                log.info("Session %s: new token", self.id)
                self.answer = self.next_token.credentials(self.record, token)
        return newest

    def _delete_ended(self) -> None:
        if self.ended_id is None:
            return
        id_, self.ended_id = self.ended_id, None
        deleting: list[Record] = []
        try:
            # Not `delete`, which finds expired rows too: only a request that ends a live session
            # may clear the cookie, since the visitor may have a newer one by now.
            self._call(self._store.update, id_, self._now(), deleting.append)
            ended = bool(deleting)
        except MalformedRecordError:  # it was edited by hand meanwhile: a logout holds all the same
            ended = self._call(self._store.delete, id_)
        if ended:
            self.answer = "end"
        else:
            self.spend()
        log.info("Session %s: ended%s", id_, "" if ended else " while a request was using it")

    def _used(self, record: Record, payload: str, now: datetime) -> Record:
        """Return the next version of `record`: in use now, with `payload`."""
        return record.saved(payload, now, *self._due(record, now))

    def _due(self, record: Record, now: datetime) -> tuple[datetime | None, bool]:
        """Return the end that is to be stored, and whether the token is confirmed now."""
        confirmed = record.token_confirmed or same_hash(record.token_hash, self._presented)
        touched = self._touched
        return self._expiry.next_end(record, now, confirmed=confirmed, touched=touched), confirmed

    def _call(self, method: Callable[..., T], *args: Any) -> T:
        try:
            return method(*args)
        except StoreError as exc:
            self.spend()
            log.error("Session store: %s", exc)
            raise

    def _update(
        self, id: str, conflict: Conflict, change: Callable[[Record, str], Record]
    ) -> str | None:
        """Update the row; return what is stored now, or None if the session is over."""
        newest = conflict.update(partial(self._found, id, self._store.update), change)
        return newest.payload if newest else None

    def _found(self, id: str, method: Callable[..., Record | None], *args: Any) -> Record | None:
        """Return and keep the row that a method of the store returns; None: the session is over."""
        try:
            newest = self._call(method, id, self._now(), *args)
        except MalformedRecordError as exc:
            log.warning("Session store: %s", exc)
            newest = None
        if newest is None or newest.id != id:
            self.spend()
            log.info("Session %s: ended while a request was using it", id)
            return None
        self.record = newest
        return newest
