"""What a request does to the row of its session: create, save, merge, rotate, end."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from ..payload import dumps
from ..store import MalformedRecordError, Record, SessionEndedError, SessionStore, StoreError
from .expiry import Expiry
from .merge import merge_texts
from .token_cookie import Answer, Credentials, hash_token, new_id, new_token, same_hash

log = logging.getLogger(__name__)
T = TypeVar("T")

EMPTY = dumps({})


class SessionRow:
    """The row of one session, during one request. It knows texts, and no data.

    Attributes:
        id: the session's public name; a new one after `end`.
        created_at, seen_at: when it began, and when it was last stored before this request.
        record: the row as last read or written: what a save compares with, and merges against.
        spent: nothing more is stored: the session has ended, or it is unknown what was stored.
        answer: what the browser is to be told.
    """

    __slots__ = (
        "_detached", "_ended_id", "_expiry", "_now", "_rotating", "_store", "_touched",
        "answer", "created_at", "id", "record", "seen_at", "spent",
    )  # fmt: skip

    def __init__(
        self,
        record: Record | None,
        store: SessionStore,
        expiry: Expiry,
        now: Callable[[], datetime],
        *,
        detached: bool = False,
    ) -> None:
        """`detached`: the cookie's token was replaced a moment ago, so nothing is stored."""
        self._store = store
        self._expiry = expiry
        self._now = now
        self._detached = detached
        self._ended_id: str | None = None
        self.spent = False
        self.answer: Answer = None
        self._begin(record)

    def _begin(self, record: Record | None) -> None:
        self.record = record
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
        if self.record:
            return self._ends_at(self.record, now)
        return self._expiry.ends_at(self.created_at, now)

    @property
    def exists(self) -> bool:
        """Whether there is a row: one to write to, or one that is to be deleted."""
        return self.record is not None or self._ended_id is not None

    def end(self) -> None:
        """Have the next save delete the row, and begin another session."""
        if self.record:
            self._ended_id = self.record.id
        self._begin(None)

    def rotate(self) -> None:
        """Have the next save give the session a new token."""
        self._rotating = True

    def touch(self) -> None:
        """Have the next save push the idle end back, even if that is not due yet."""
        self._touched = True

    def spend(self) -> None:
        """Store nothing more, and tell the browser nothing: it may hold a newer cookie by now."""
        self.spent = True
        self.answer = None

    def save(self, data: Callable[[], str]) -> str | None:
        """Store what is due: `data()`, if it has changed, a new token, or a later end.

        Returns the payload as it is stored now if another request's changes may be in it, else
        None. Raises `StoreError`, and what `data` raises.
        """
        if self.spent or self._detached:
            return None
        self._delete_ended()  # first: a logout holds, whatever becomes of the rest
        if self.spent:
            return None
        payload = data()
        now = self._now()
        record = self.record
        newest = None
        if record is None:
            if payload != EMPTY:
                self._create(payload, now)
        elif self._rotating or self._expiry.renewal_is_due(record, now):
            newest = self._give_new_token(record, payload, now)
        elif payload != record.payload:
            newest = self._write(record, payload, now)
        elif self._touched or self._expiry.is_due(record, now):
            # If this returns False, another request saved first, and has extended the expiry.
            self._save_fast(record, payload, now)
        self._touched = False
        return newest

    def transact(self, ours: str, change: Callable[[str], str]) -> None:
        """Store what `change` makes of the newest payload, with `ours` merged in, under the lock.

        Raises `SessionEndedError`, `StoreError`, and what `change` raises.
        """
        self._delete_ended()
        if self.spent or self._detached:
            raise SessionEndedError(f"session {self.id} has ended")
        now = self._now()
        base = self.record or self._create(ours, now)

        def apply(newest: Record) -> Record:
            payload = change(merge_texts(base.payload, ours, newest.payload))
            return self._used(newest, payload, now)

        record = self._update(base.id, apply)
        if record is None:
            raise SessionEndedError(f"session {self.id} has ended")
        if self.record is base:  # `change` may have ended the session
            self.record = record

    def reload(self) -> str:
        """Read the row anew, and return its payload; that of no row is empty.

        Raises `SessionEndedError`, `StoreError`.
        """
        if self.record is None:
            return EMPTY
        record = None if self.spent else self._update(self.record.id, lambda newest: newest)
        if record is None:
            raise SessionEndedError(f"session {self.id} has ended")
        self.record = record
        return record.payload

    def _create(self, payload: str, now: datetime) -> Record:
        token = new_token()
        record = Record(
            id=self.id,
            token_hash=hash_token(token),
            payload=payload,
            version=1,
            created_at=self.created_at,
            seen_at=now,
            expires_at=self._expiry.ends_at(self.created_at, now),
        )
        self._call(self._store.create, record)
        self.record = record
        self._rotating = False
        self.answer = Credentials(self.id, token)
        log.info("Session %s: created", self.id)
        return record

    def _write(self, record: Record, payload: str, now: datetime) -> str | None:
        if self._save_fast(record, payload, now):
            return None

        def change(newest: Record) -> Record:
            merged = merge_texts(record.payload, payload, newest.payload)
            return self._used(newest, merged, now)

        return self._store_newest(record.id, change)

    def _save_fast(self, record: Record, payload: str, now: datetime) -> bool:
        """Save in one statement; return False if the row is at another version, or gone."""
        used = self._used(record, payload, now)
        if written := self._call(self._store.save, used, record.version, now):
            self.record = used
        return written

    def _give_new_token(self, record: Record, payload: str, now: datetime) -> str | None:
        forced = self._rotating
        token = new_token()
        token_hash = hash_token(token)

        def change(newest: Record) -> Record:
            merged = merge_texts(record.payload, payload, newest.payload)
            used = self._used(newest, merged, now)
            if not forced and not same_hash(newest.token_hash, record.token_hash):
                return used  # a parallel request has renewed it, and the browser has its cookie
            return replace(
                used,
                token_hash=token_hash,
                old_token_hash=newest.token_hash,
                old_token_valid=not forced,
                rotated_at=now,
            )

        newest = self._store_newest(record.id, change)
        if newest is not None:
            self._rotating = False
            if self.record and same_hash(self.record.token_hash, token_hash):
                log.info("Session %s: new token", self.id)
                self.answer = Credentials(self.id, token)
        return newest

    def _store_newest(self, id: str, change: Callable[[Record], Record]) -> str | None:
        if record := self._update(id, change):
            self.record = record
            return record.payload
        return None

    def _delete_ended(self) -> None:
        if self._ended_id is None:
            return
        id_, self._ended_id = self._ended_id, None
        found: list[Record] = []
        # Not the store's `delete`: we must know whether this request deleted the row, since only
        # then may it clear the cookie.
        self._call(self._store.update, id_, self._now(), found.append)
        if found:
            self.answer = "end"
        else:
            self.spend()
        log.info("Session %s: ended%s", id_, "" if found else " while a request was using it")

    def _used(self, record: Record, payload: str, now: datetime) -> Record:
        """Return the next version of `record`: in use now, with `payload`."""
        return record.saved(payload, now, self._ends_at(record, now))

    def _ends_at(self, record: Record, now: datetime) -> datetime | None:
        # moved only when due, to leave the index alone
        if self._touched or self._expiry.is_due(record, now):
            return self._expiry.ends_at(record.created_at, now)
        return record.expires_at

    def _call(self, method: Callable[..., T], *args: Any) -> T:
        try:
            return method(*args)
        except StoreError as exc:
            self.spend()
            log.error("Session store: %s", exc)
            raise

    def _update(self, id: str, change: Callable[[Record], Record]) -> Record | None:
        """Call the store's `update`; a row that is gone stays gone, and this session is over."""
        try:
            record = self._call(self._store.update, id, self._now(), change)
        except MalformedRecordError as exc:
            log.warning("Session store: %s", exc)
            record = None
        if record is None:
            self.spend()
            log.info("Session %s: ended while a request was using it", id)
        return record
