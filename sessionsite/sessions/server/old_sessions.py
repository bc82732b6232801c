"""`session.migrate_from`: visitors of another session factory are carried over, each once.

The old session's data becomes the payload of a new row. To that row the old cookie is what a token
is that was just replaced by time: parallel requests and one whose answer was lost still open the
session by it, for the grace. A marker, a row that is no session, remembers each old
cookie, so that one which is played back later, after a logout above all, opens nothing.
"""

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from ..cookie_header import CookieHeader
from ..data import new_id
from ..own import LONGEST_AGE, RESERVED_OWNER, checked_owner
from ..payload import PayloadError, check_size, dumps
from ..response import clear_session_cookies
from ..settings import ServerSettings
from ..store import Record, RecordExistsError, SessionStore, StoreError
from .expiry import Expiry
from .token_cookie import hash_token, new_token

log = logging.getLogger(__name__)

_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class OldFactory:
    """The factory whose sessions are carried over."""

    name: str
    make: Callable[[Request], Any]
    cookie_name: str
    unpickles: bool
    """What it reads may run code: it is read for no longer than an old session could live."""
    owner: Callable[[Request, dict[str, Any]], str | None] | None = None
    """The app's hook: whose session it is, by its data."""
    internal: frozenset[str] = frozenset()
    """What it keeps among the data for itself."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A row that an old session became, and the hash of the old cookie, which opens it."""

    record: Record
    old_hash: bytes
    token: bytes | None
    """The new token that the browser is to get; None: another request has sent it."""


class OldSessions:
    """Carries over; thread-safe."""

    def __init__(
        self,
        factory: OldFactory,
        store: Callable[[], SessionStore],
        settings: ServerSettings,
        expiry: Expiry,
    ) -> None:
        self._factory = factory
        self._newest_store = store
        self._settings = settings
        self._expiry = expiry
        self._header = CookieHeader(factory.cookie_name)
        self._until: datetime | None = None
        self._warned = False

    @property
    def _store(self) -> SessionStore:
        return self._newest_store()  # another one may be put around it

    @property
    def cookie_name(self) -> str:
        return self._factory.cookie_name

    def is_in(self, request: Request) -> bool:
        """Return whether the request has a cookie of the old name."""
        return bool(self._header.values(request))

    def is_beside(self, request: Request) -> bool:
        """Return whether the request has a cookie of the old name, which is not ours as well."""
        return self.cookie_name != self._settings.cookie_name and self.is_in(request)

    def clear(self, request: Request, response: Response, secure: bool) -> None:
        """Delete the old cookie, wherever it may stand."""
        named = replace(self._settings, cookie_name=self.cookie_name)
        clear_session_cookies(request, response, named, secure)

    def carry(self, request: Request, now: datetime) -> Carried | None:
        """Return the row that the request's old cookie opens; None: none.

        Raises `StoreError`, also where the old store can't be reached.
        """
        values = self._header.values(request)
        if len(values) != 1:  # several: one may have been planted
            return None
        old_hash = hashlib.sha256(f"{self.cookie_name}={values[0]}".encode()).digest()
        # A hyphen, with which no session's id begins.
        marker_id = "-" + base64.urlsafe_b64encode(old_hash)[:30].decode()
        marker = self._store.load(marker_id, now)
        if marker is None:
            if not self._is_open(now):
                return None
            carried = self._read(request, old_hash, marker_id, now)
            if carried is not None:
                return carried
            marker = self._store.load(marker_id, now)
        if marker is None or marker.label is None:
            return None
        record = self._store.load(marker.label, now)
        return None if record is None else Carried(record, old_hash, None)

    def _read(
        self, request: Request, old_hash: bytes, marker_id: str, now: datetime
    ) -> Carried | None:
        """Read the old session and store it; None: there is none, or another request has it."""
        # A request of its own: none of the old factory's callbacks runs, and sets its cookie.
        copy = Request(dict(request.environ))
        copy.registry = request.registry
        internal = self._factory.internal
        try:
            old = self._factory.make(copy)
            data = {} if old.new else {k: v for k, v in old.items() if k not in internal}
            payload = dumps(data, coerce_keys=self._settings.coerce_keys)
            check_size(data, len(payload), self._settings.max_bytes, "session.max_bytes")
        except PayloadError as exc:
            log.warning("An old session was not carried over: %s", exc)
            return None
        except Exception as exc:
            if _is_outage(exc):
                raise StoreError(f"the old session store: {exc}") from exc
            log.warning("An old session can't be read, and is not carried over: %r", exc)
            return None
        if not data:
            if old.new and not self._warned:
                self._warned = True
                log.warning(
                    "A cookie named %s opened no session of the old factory: it has expired or is "
                    "forged, or, if nobody is carried over, session.old.* are not the settings "
                    "that it was made with",
                    self.cookie_name,
                )
            return None
        token = new_token()
        record = self._row(request, data, payload, hash_token(token), old_hash, now)
        marker = Record(
            id=marker_id,
            token_hash=b"",
            payload="{}",
            version=1,
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(seconds=LONGEST_AGE),
            owner=RESERVED_OWNER,
            label=record.id,
        )
        self._store.create(record)
        try:
            self._store.create(marker)
        except RecordExistsError:  # a parallel request was first
            self._store.delete(record.id)
            return None
        try:
            old.invalidate()
        except Exception as exc:
            log.warning("An old session was carried over, and could not be ended: %r", exc)
        return Carried(record, old_hash, token)

    def _row(
        self,
        request: Request,
        data: dict[str, Any],
        payload: str,
        token_hash: bytes,
        old_hash: bytes,
        now: datetime,
    ) -> Record:
        owner = None
        if self._factory.owner is not None:
            owner = checked_owner(self._factory.owner(request, data))
        record = Record(
            id=new_id(),
            token_hash=token_hash,
            payload=payload,
            version=1,
            created_at=now,
            seen_at=now,
            expires_at=None,
            old_token_hash=old_hash,
            old_token_valid=True,
            rotated_at=now,
            owner=owner,
        )
        return replace(record, expires_at=self._expiry.ends_at(record, now))

    def _is_open(self, now: datetime) -> bool:
        """Return whether old sessions are still read: those that are unpickled, for a while."""
        if not self._factory.unpickles:
            return True
        if self._until is None:
            begun = self._begun(now)
            lifetime = self._settings.max_lifetime
            self._until = begun + (_MONTH if lifetime is None else timedelta(seconds=lifetime))
        return now < self._until

    def _begun(self, now: datetime) -> datetime:
        """Return when the first process began to carry over; this one, perhaps."""
        id_ = "-" + hashlib.sha256(self._factory.name.encode()).hexdigest()[:30]
        begun = self._store.load(id_, now)
        if begun is None:
            begun = Record(
                id=id_, token_hash=b"", payload="{}", version=1, created_at=now, seen_at=now,
                expires_at=None, owner=RESERVED_OWNER, label=None,
            )  # fmt: skip
            try:
                self._store.create(begun)
            except RecordExistsError:
                begun = self._store.load(id_, now) or begun
        return begun.created_at


def _is_outage(error: Exception) -> bool:
    """Return whether the old store could not be reached: the visitor is to lose nothing by that."""
    return isinstance(error, OSError) or any(
        word in kind.__name__ for kind in type(error).__mro__ for word in ("Connection", "Timeout")
    )
