"""The server factory: the data in a store, only a signed id and token in the cookie.

request → cookie → id and token → store → session, and back again. A token that this server did not
issue is never adopted, and the store never sees a token, only its SHA-256.
"""

import datetime as dt
import logging
from collections.abc import Callable

from pyramid.request import Request
from zope.interface import implementer

from ..description import SessionDescription
from ..interfaces import IServerSessionFactory
from ..settings import ServerSettings
from ..store import MalformedRecordError, Record, SessionStore, StoreError, check_store
from .expiry import Expiry
from .session import ServerSession
from .token_cookie import TokenCookie, hash_token, same_hash

log = logging.getLogger(__name__)

_LOAD_ERROR = "sessionsite.session_load_error"


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@implementer(IServerSessionFactory)
class ServerSessionFactory:
    """Makes `request.session`; thread-safe. `now` returns the time, aware and in UTC."""

    def __init__(
        self,
        store: SessionStore,
        settings: ServerSettings,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        check_store(store)
        self.store = store
        self.settings = settings
        self.now = now
        self.prune_interval = settings.prune_interval
        self.description = SessionDescription(
            where=store.where, cookie=settings, lifetime=settings.lifetime
        )
        self.cookie = TokenCookie(settings)
        self.expiry = Expiry.from_settings(settings)

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

    def ping(self) -> None:
        """Raise `StoreError` unless the store can be read."""
        self.store.load("", self.now())

    def _open(self, request: Request) -> ServerSession:
        credentials = self.cookie.read(request)
        if credentials is None:
            return self._session(request, None)
        now = self.now()
        token_hash = hash_token(credentials.token)
        try:
            record = self.store.load(credentials.id, now)
            # A store that answers with another visitor's row must open nothing.
            if record is None or record.id != credentials.id:
                log.info("A cookie names a session that has ended: a new session")
            elif same_hash(record.token_hash, token_hash):
                return self._session(request, record)
            elif not same_hash(record.old_token_hash, token_hash):
                log.info("Session %s: a cookie with an unknown token: a new session", record.id)
            elif self.expiry.within_grace(record, now):
                return self._session(request, record)
            elif self.expiry.just_regenerated(record, now):
                log.info("Session %s: a cookie with the token before this one", record.id)
                return self._session(request, None, detached=True)
            else:
                log.info("Session %s: a cookie with a replaced token: a new session", record.id)
        except (MalformedRecordError, ValueError) as exc:
            log.warning("A session can't be read, a new one takes its place: %s", exc)
        return self._session(request, None)

    def _session(
        self, request: Request, record: Record | None, *, detached: bool = False
    ) -> ServerSession:
        return ServerSession(
            request,
            record,
            store=self.store,
            expiry=self.expiry,
            cookie=self.cookie,
            now=self.now,
            set_on_exception=self.settings.set_on_exception,
            detached=detached,
        )
