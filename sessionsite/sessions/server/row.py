"""A session's row, as one request reads and writes it: each call of the store goes through here."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from ..data import new_id
from ..events import SessionEvent, SessionMerged, Teller
from ..own import NAMES, Own
from ..payload import EMPTY
from ..settings import ServerSettings
from ..store import MalformedRecordError, Record, SessionEndedError, SessionStore, StoreError
from .availability import Availability
from .conflict import Conflict
from .expiry import Expiry
from .merge import merge_texts
from .rotation import NextToken
from .token_cookie import Answer, Credentials, same_hash

log = logging.getLogger(__name__)
T = TypeVar("T")


class StoredRow:
    """The row of one session, during one request; `SessionRow` says what is stored, and when.

    `record`: the row as last read or written, which a save compares with, and merges against.
    `spent`: nothing more is stored; the session has ended, or it is unknown what was stored.
    `answer`: what the browser is to be told.
    """

    __slots__ = (
        "_availability", "_changes", "_expiry", "_facts", "_now", "_presented", "_settings",
        "_store", "_tell", "_touched", "answer", "created_at", "id", "next_token", "record",
        "seen_at", "spent",
    )  # fmt: skip

    def __init__(
        self,
        record: Record | None,
        *,
        store: SessionStore,
        expiry: Expiry,
        now: Callable[[], datetime],
        settings: ServerSettings,
        tell: Teller,
        availability: Availability,
        presented: bytes | None = None,
        came_with: Credentials | None = None,
    ) -> None:
        """`presented`: the hash of the token that opens the session. `came_with`: what the cookie
        of the request holds, even if it opens nothing.
        """
        self._store = store
        self._expiry = expiry
        self._now = now
        self._settings = settings
        self._tell = tell
        self._availability = availability
        self._presented = presented
        self._facts: list[tuple[type[SessionEvent], str, str | None, dict[str, Any]]] = []
        self.spent = False
        self.answer: Answer = None
        self._begin(record, came_with)

    def _begin(self, record: Record | None, came_with: Credentials | None = None) -> None:
        self.record = record
        self.next_token = NextToken(came_with)
        self._touched = False
        self._changes: dict[str, Any] = {}  # of what is the session's own, beside its data
        if record is None:
            self.id = new_id()
            self.created_at = self.seen_at = self._now()
        else:
            self.id = record.id
            self.created_at = record.created_at
            self.seen_at = record.seen_at

    @property
    def own(self) -> Own:
        """What the session has of its own, changes that are not stored included."""
        stored = {} if self.record is None else {n: getattr(self.record, n) for n in NAMES}
        return Own(**stored | self._changes)

    def change_own(self, values: Mapping[str, Any]) -> None:
        """Have the next save store these fields of `Own`."""
        self._changes |= values
        for name, value in values.items():
            if getattr(self.record, name, None) == value:  # as it was
                del self._changes[name]

    @property
    def age(self) -> int:
        """How many seconds ago the session began."""
        return int((self._now() - self.created_at).total_seconds())

    @property
    def max_lifetime(self) -> int | None:
        return self._settings.max_lifetime

    @property
    def expires_at(self) -> datetime | None:
        now = self._now()
        record = self._changed(self.record) if self.record else self._fresh(EMPTY, now)
        return self._due(record, now)[0] if self.record else record.expires_at

    def spend(self) -> None:
        """Store nothing more, and tell the browser nothing: it may hold a newer cookie by now."""
        self.spent = True
        self.answer = None

    def reload(self) -> str:
        """Read the row anew, and return its payload; that of no row is empty.

        Raises `SessionEndedError`, `StoreError`.
        """
        self._changes.clear()
        if self.record is None:
            return EMPTY
        id_, update = self.record.id, self._store.update
        newest = None if self.spent else self._found(id_, update, lambda row: row)
        if newest is None:
            raise SessionEndedError(f"session {self.id} has ended")
        return newest.payload

    def _fresh(self, payload: str, now: datetime, token_hash: bytes = b"") -> Record:
        """Return the row of a session that has none yet."""
        record = Record(
            id=self.id,
            token_hash=token_hash,
            payload=payload,
            version=1,
            created_at=self.created_at,
            seen_at=now,
            expires_at=None,
            **self._changes,
        )
        return replace(record, expires_at=self._expiry.ends_at(record, now, is_new=True))

    def _changed(self, record: Record) -> Record:
        return replace(record, **self._changes) if self._changes else record

    def _used(self, record: Record, payload: str, now: datetime) -> Record:
        """Return the next version of `record`: in use now, with `payload` and what has changed."""
        record = self._changed(record)
        return record.saved(payload, now, *self._due(record, now))

    def _due(self, record: Record, now: datetime) -> tuple[datetime | None, bool]:
        """Return the end that is to be stored, and whether the token is confirmed now."""
        confirmed = record.token_confirmed or same_hash(record.token_hash, self._presented)
        touched = self._touched or bool(self._changes)
        return self._expiry.next_end(record, now, confirmed=confirmed, touched=touched), confirmed

    def _call(self, method: Callable[..., T], *args: Any) -> T:
        asked = self._availability.ask(writes=method not in (self._store.load, merge_texts))
        try:
            answer = method(*args)
        except StoreError as exc:
            self.spend()
            self._availability.lost(exc, asked, self._tell)
            raise
        if answer is not False:  # which has written nothing, and says nothing of writes
            self._availability.answered(asked, self._tell)
        return answer

    def _update(
        self, id: str, conflict: Conflict, change: Callable[[Record, str], Record]
    ) -> str | None:
        """Update the row; return what is stored now, or None if the session is over."""
        newest = conflict.update(partial(self._found, id, self._store.update), change)
        if newest is None:
            return None
        if conflict.merged:
            self._happened(SessionMerged)
        return newest.payload

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

    def _happened(self, kind: type[SessionEvent], of: Record | None = None, **more: Any) -> None:
        """Note what is to be told once it is stored; `of`: of another row than this one."""
        record = of or self.record
        assert record is not None
        self._facts.append((kind, record.id, record.owner, more))

    def _tell_facts(self) -> None:
        facts, self._facts = self._facts, []
        for kind, id_, owner, more in facts:
            self._tell.session(kind, id_, owner, **more)
