"""The server factory: the data in a store, only a signed secret in the cookie.

request → cookie → secret → key → store → session, and back again. A secret that this server did
not issue is never adopted, and the store never sees a secret, only its SHA-256.
"""

import datetime as dt
import hashlib
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from .facts import SessionFacts
from .headers import send_cookie
from .session import ServerSession
from .settings import ServerSettings, server_settings
from .signing import RotatingSigner
from .sql import store_from_settings
from .store import MalformedRecordError, Record, SessionStore, StoreError

try:
    from pyramid_retry import is_error_retryable
except ImportError:  # then nothing is retried

    def is_error_retryable(request: Request, exc: Exception) -> bool:
        return False


log = logging.getLogger(__name__)

SECRET_BYTES = 32  # ASVS 7.2.3 asks for 16
# So long a secret that `regenerate()` has replaced is recognised, to leave the browser's new
# cookie alone; afterwards it is unknown like any other.
ROTATION_WINDOW = dt.timedelta(seconds=60)
_LOAD_ERROR = "sessionsite.session_load_error"


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class _Bytes:
    """The serializer of bytes: the signature is all that is added to a secret."""

    def dumps(self, appstruct: bytes) -> bytes:
        return appstruct

    def loads(self, bstruct: bytes) -> bytes:
        if len(bstruct) != SECRET_BYTES:
            raise ValueError("a secret of another length")
        return bstruct


@implementer(ISessionFactory)
class ServerSessionFactory:
    """Makes `request.session`; thread-safe. `now` returns the time, aware and in UTC."""

    def __init__(
        self,
        store: SessionStore,
        settings: ServerSettings,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self.store = store
        self.settings = settings
        self.now = now
        self.facts = SessionFacts(
            where=getattr(store, "where", "in a database"),
            cookie=settings,
            lifetime=settings.lifetime,
        )
        self._signer = RotatingSigner(settings.secrets, "sessionsite.server.", _Bytes())
        self._timeout = _seconds(settings.timeout)
        self._lifetime = _seconds(settings.lifetime)
        self._reissue_time = dt.timedelta(seconds=settings.reissue_time)
        self._renewal_time = _seconds(settings.renewal_time)
        self._renewal_grace = dt.timedelta(seconds=settings.renewal_grace)
        self._warned_of_plain_http = False
        if settings.secure is False:
            log.warning("session.secure = false: whoever listens on the way can take a session")

    def __call__(self, request: Request) -> ServerSession:
        """Return the session of `request`, a new one if it has none. Raises `StoreError`."""
        failed = request.environ.get(_LOAD_ERROR)
        if failed:  # once is enough: an error page must not wait for the store again
            raise StoreError(str(failed)) from failed
        try:
            return self._open(request)
        except StoreError as exc:
            request.environ[_LOAD_ERROR] = exc
            log.error("Session store: %s", exc)
            raise

    def _open(self, request: Request) -> ServerSession:
        secret = self._read_cookie(request)
        if secret is None:
            return ServerSession(self, request, None)
        key = self.key(secret)
        now = self.now()
        try:
            record = self.store.load(key, now)
            if record is None:
                log.info("A cookie names a session that has ended: a new session")
            elif record.key == key or self._open_by_old_key(record, now):
                return ServerSession(self, request, record)
            elif not record.old_open and _within(record.rotated_at, ROTATION_WINDOW, now):
                log.info("Session %s: a cookie with the secret before this one", record.id)
                return ServerSession(self, request, None, detached=True)
        except (MalformedRecordError, ValueError) as exc:
            log.warning("A session can't be read, a new one takes its place: %s", exc)
        return ServerSession(self, request, None)

    def _open_by_old_key(self, record: Record, now: dt.datetime) -> bool:
        return record.old_open and _within(record.rotated_at, self._renewal_grace, now)

    def _read_cookie(self, request: Request) -> bytes | None:
        """Return the secret in the request's cookie; None without one that we have signed."""
        values = [
            value.strip().strip('"')
            for name, _, value in (
                pair.partition("=") for pair in request.environ.get("HTTP_COOKIE", "").split(";")
            )
            if name.strip() == self.settings.cookie_name
        ]
        if not values:
            return None
        try:
            # Of two cookies of one name, one may have been planted, and nothing tells which.
            (value,) = values
            secret: bytes = self._signer.loads(value.encode("ascii"))
        except ValueError:
            log.warning("A cookie that this site did not issue was ignored")
            return None
        return secret

    def new_secret(self) -> bytes:
        return secrets.token_bytes(SECRET_BYTES)

    @staticmethod
    def key(secret: bytes) -> bytes:
        """The name under which the store knows a secret; nobody gets back from it (CS at rest)."""
        return hashlib.sha256(secret).digest()

    def first_record(
        self, id: str, secret: bytes, payload: str, created_at: dt.datetime, now: dt.datetime
    ) -> Record:
        """Return the record of a session that is to be stored for the first time."""
        return Record(
            id=id,
            key=self.key(secret),
            payload=payload,
            version=1,
            created_at=created_at,
            seen_at=now,
            expires_at=self.expiry(created_at, now),
        )

    def expiry(self, created_at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
        """Return the nearer of idle and absolute end for a session in use at `now`."""
        idle = None if self._timeout is None else now + self._timeout
        absolute = None if self._lifetime is None else created_at + self._lifetime
        return min(idle, absolute) if idle and absolute else idle or absolute

    def expiry_due(self, record: Record, now: dt.datetime) -> bool:
        """Whether the stored expiry is off by `reissue_time` or more."""
        expires_at = self.expiry(record.created_at, now)
        if expires_at is None or record.expires_at is None:
            return expires_at is not record.expires_at
        off = abs(expires_at - record.expires_at)
        return bool(off) and off >= self._reissue_time

    def renewal_due(self, record: Record, now: dt.datetime) -> bool:
        """Whether it is time for another secret (OWASP's renewal time-out)."""
        if self._renewal_time is None:
            return False
        return now - (record.rotated_at or record.created_at) >= self._renewal_time

    def keeps_changes_after(self, error: Exception | None, request: Request) -> bool:
        """Whether the automatic save is to store what the request has changed until `error`."""
        if error is None:
            return True
        return self.settings.set_on_exception and not is_error_retryable(request, error)

    def set_cookie(self, request: Request, response: Response, secret: bytes) -> None:
        """Send `secret`: once, and never again, since a late response would undo a newer one."""
        secure = self._secure(request)
        if secure and request.scheme != "https" and not self._warned_of_plain_http:
            self._warned_of_plain_http = True
            log.warning(
                "A Secure cookie goes out on a plain http request, and browsers will drop it. "
                "Behind a TLS proxy: is its address the trusted_proxy in [server:main], "
                "and does it send X-Forwarded-Proto?"
            )
        value = self._signer.dumps(secret).decode("ascii")
        send_cookie(response, self.settings, value, self.settings.max_age, secure)

    def delete_cookie(self, request: Request, response: Response) -> None:
        send_cookie(response, self.settings, "", 0, self._secure(request))

    def _secure(self, request: Request) -> bool:
        if self.settings.secure == "auto":
            return bool(request.scheme == "https")
        return self.settings.secure

    def check(self) -> None:
        """Raise `StoreError` unless the store can be read."""
        self.store.load(b"", self.now())


def _seconds(number: int | None) -> dt.timedelta | None:
    return None if number is None else dt.timedelta(seconds=number)


def _within(start: dt.datetime | None, length: dt.timedelta, now: dt.datetime) -> bool:
    return start is not None and now < start + length


def session_factory_from_settings(settings: Mapping[str, Any]) -> ServerSessionFactory:
    """Return the server factory that the `session.*` keys of `settings` describe.

    Raises `ConfigurationError`; with `session.sql.create_table` also `StoreError`.
    """
    server, sql = server_settings(settings)
    return ServerSessionFactory(store_from_settings(sql), server)
