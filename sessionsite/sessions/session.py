"""`request.session` of the server factory: a dict that knows its row.

What has changed is found by comparing the JSON text with the one that was loaded, so that no dict
method is wrapped, and a change deep inside is seen like any other.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pyramid.interfaces import ISession
from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from .data import SessionData
from .headers import prevent_caching
from .payload import PayloadError, dumps, loads, merged
from .store import MalformedRecordError, Record, SessionEndedError, StoreError

if TYPE_CHECKING:
    from .server import ServerSessionFactory

log = logging.getLogger(__name__)
T = TypeVar("T")


@implementer(ISession)
class ServerSession(SessionData):
    """A session whose data is in the store; all of Pyramid's `ISession`.

    Changes, `invalidate` and `regenerate` take effect in `save`, which runs by itself before
    the response is sent.

    It holds no request: that one holds the session, and what hangs in a circle is not free before
    the next garbage collection, when nothing of it is in the processor's caches any more.
    """

    def __init__(
        self,
        factory: "ServerSessionFactory",
        request: Request,
        record: Record | None,
        *,
        detached: bool = False,
    ) -> None:
        super().__init__(loads(record.payload) if record else {})
        self._factory = factory
        self._record = record  # as last read or written: what a save compares and merges with
        self._detached = detached  # the secret was replaced a moment ago: nothing is kept
        self._ended_id: str | None = None
        self._spent = self._rotate = self._touched = False
        # What the browser is to be told: a new secret, or that the session is over.
        self._cookie_secret: bytes | None = None
        self._cookie_over = False
        self._start(record)
        request.add_response_callback(self._respond)

    def _start(self, record: Record | None) -> None:
        now = self._factory.now()
        self.new: bool = record is None
        self.id: str = record.id if record else secrets.token_urlsafe(16)
        """Random and public, safe to log; neither cookie nor key can be made from it."""
        self._created_at = record.created_at if record else now
        self.created: int = int(self._created_at.timestamp())
        """When the session began, in seconds since the epoch."""
        self.seen_at: datetime = record.seen_at if record else now
        """When the session was last stored before this request, aware and in UTC."""

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends if this request is its last; aware and in UTC, None for never."""
        now = self._factory.now()
        if self._record:
            return self._ends(self._record, now)
        return self._factory.expiry(self._created_at, now)

    @property
    def size(self) -> int:
        """How many bytes of JSON text are stored for the session."""
        return len(self._record.payload) if self._record else 0

    def changed(self) -> None:
        """Nothing to do: changes are found by comparing."""

    def invalidate(self) -> None:
        """End the session: its row is deleted, and what is put in from now on is a new one."""
        self.clear()
        if self._record:
            self._ended_id = self._record.id
        self._record = None
        self._rotate = self._touched = False
        self._start(None)

    def regenerate(self) -> None:
        """Give the session a new secret and keep the data; the old secret is dead at once.

        Call it whenever privileges change, at login above all (ASVS 7.2.4).
        """
        self._rotate = True

    def touch(self) -> None:
        """Push the idle time-out back with this request, even if that is not due yet."""
        self._touched = True

    def reload(self) -> None:
        """Drop the changes that are not stored, and take the newest data from the store.

        Raises `SessionEndedError`, `StoreError`.
        """
        if self._record is None:
            self.clear()
            return
        record = None if self._spent else self._update(self._record.id, lambda newest: newest)
        if record is None:
            raise SessionEndedError(f"session {self.id} has ended")
        self._fill(record.payload)
        self._record = record

    def transact(self, change: Callable[["ServerSession"], T]) -> T:
        """Call `change(session)` on the newest data, alone, and store what it leaves.

        For what can't be merged: a counter, a stock. It runs under the row's lock; what was
        pending in the session is merged in first and stored with it. `change` may be called
        again, so it should do nothing but change the session. Returns what `change` returns;
        what it raises leaves the row as it was. Raises `SessionEndedError`, `StoreError`.
        """
        self._delete_ended()
        if self._spent or self._detached:
            raise SessionEndedError(f"session {self.id} has ended")
        now = self._factory.now()
        ours = dumps(self)
        base = self._record or self._create(ours, now)
        results: list[T] = []

        def apply(newest: Record) -> Record:
            self._fill(merged(base.payload, ours, newest.payload))
            results.append(change(self))
            return self._seen(newest, dumps(self), now)

        try:
            record = self._update(base.id, apply)
        except BaseException:
            self._fill(ours)
            raise
        if record is None:
            raise SessionEndedError(f"session {self.id} has ended")
        if self._record is base:  # `change` may have called invalidate()
            self._record = record
        return results[-1]

    def save(self) -> None:
        """Store what has changed, now, and never twice.

        Raises `PayloadError` for what JSON can't hold, and `StoreError`: the session is spent
        then, since it is unknown what has reached the store.
        """
        if self._spent or self._detached:
            return
        self._delete_ended()  # first: a logout holds, whatever becomes of the rest
        if self._spent:
            return
        payload = dumps(self)
        now = self._factory.now()
        record = self._record
        if record is None:
            if self:
                self._create(payload, now)
        elif self._rotate or self._factory.renewal_due(record, now):
            self._rotate_secret(record, payload, now)
        elif payload != record.payload:
            self._write(record, payload, now)
        elif self._touched or self._factory.expiry_due(record, now):
            # False: somebody else wrote meanwhile, which has pushed the expiry just as well
            self._save_row(record, payload, now)
        self._touched = False

    def save_for_response(self, request: Request, error: Exception | None = None) -> None:
        """The automatic save; `error` is what ends the request with no response to tell of it."""
        if error and not (self._record or self._ended_id):
            return  # nobody would have the cookie of a new session
        if not self._factory.keeps_changes_after(error or request.exception, request):
            return
        try:
            self.save()
        except PayloadError:
            self._spent = True
            raise

    def _write(self, record: Record, payload: str, now: datetime) -> None:
        if self._save_row(record, payload, now):
            return

        def change(newest: Record) -> Record:
            return self._seen(newest, merged(record.payload, payload, newest.payload), now)

        if newest := self._update(record.id, change):
            self._fill(newest.payload)
            self._record = newest

    def _save_row(self, record: Record, payload: str, now: datetime) -> bool:
        seen = self._seen(record, payload, now)
        if written := self._store(self._factory.store.save, seen, record.version, now):
            self._record = seen
        return written

    def _rotate_secret(self, record: Record, payload: str, now: datetime) -> None:
        forced = self._rotate
        secret = self._factory.new_secret()

        def change(newest: Record) -> Record:
            changed = self._seen(newest, merged(record.payload, payload, newest.payload), now)
            if not forced and newest.key != record.key:
                return changed  # a parallel request has renewed it, and its browser has the cookie
            return replace(
                changed,
                key=self._factory.key(secret),
                old_key=newest.key,
                old_open=not forced,
                rotated_at=now,
            )

        if rotated := self._update(record.id, change):
            self._rotate = False
            self._fill(rotated.payload)
            self._record = rotated
            if rotated.key == self._factory.key(secret):
                log.info("Session %s: new secret", self.id)
                self._cookie_secret = secret

    def _create(self, payload: str, now: datetime) -> Record:
        secret = self._factory.new_secret()
        self._record = self._factory.first_record(self.id, secret, payload, self._created_at, now)
        self._store(self._factory.store.create, self._record)
        self._cookie_secret = secret
        self._rotate = False
        log.info("Session %s: created", self.id)
        return self._record

    def _delete_ended(self) -> None:
        if self._ended_id is None:
            return
        id_, self._ended_id = self._ended_id, None
        found: list[Record] = []
        # Not the store's `delete`: whoever comes second leaves the cookie of the first alone.
        self._store(self._factory.store.update, id_, self._factory.now(), found.append)
        self._spent = not found
        self._cookie_over = bool(found)
        log.info("Session %s: ended%s", id_, "" if found else " while a request was using it")

    def _seen(self, record: Record, payload: str, now: datetime) -> Record:
        """Return the next version of `record`: in use now, with `payload`."""
        return record.saved(payload, now, self._ends(record, now))

    def _ends(self, record: Record, now: datetime) -> datetime | None:
        # moved only when due, to leave the index alone
        if self._touched or self._factory.expiry_due(record, now):
            return self._factory.expiry(record.created_at, now)
        return record.expires_at

    def _store(self, method: Callable[..., T], *args: Any) -> T:
        try:
            return method(*args)
        except StoreError as exc:
            self._spent = True
            log.error("Session store: %s", exc)
            raise

    def _update(self, id: str, change: Callable[[Record], Record]) -> Record | None:
        """The store's `update`; a row that is gone stays gone, and this session is over."""
        try:
            record = self._store(self._factory.store.update, id, self._factory.now(), change)
        except MalformedRecordError as exc:
            log.warning("Session store: %s", exc)
            record = None
        if record is None:
            self._spent = True
            log.info("Session %s: ended while a request was using it", id)
        return record

    def _fill(self, payload: str) -> None:
        self.clear()
        self.update(loads(payload))

    def _respond(self, request: Request, response: Response) -> None:
        self.save_for_response(request)
        prevent_caching(response)
        if self._spent or self._detached:
            return  # the browser may hold a newer cookie by now, or the session still lives
        if self._cookie_secret:
            self._factory.set_cookie(request, response, self._cookie_secret)
        elif self._cookie_over:
            self._factory.delete_cookie(request, response)
