"""The server factory: the data in a store, only a signed id and token in the cookie.

request → cookie → id and token → store → session, and back again. A token that this server did not
issue is never adopted, and the store never sees a token, only its SHA-256.
"""

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pyramid.request import Request
from zope.interface import implementer

from ..description import SessionDescription
from ..events import EndReason, SessionCreated, SessionEnded, Teller
from ..interfaces import IServerSessionFactory
from ..opening import open_session
from ..own import MAX_SECONDS
from ..settings import ServerSettings
from ..store import MalformedRecordError, Record, SessionStore, StoreError, check_store, utc_now
from .availability import Asked, Availability
from .expiry import Expiry
from .health import HealthCheck
from .old_sessions import OldFactory, OldSessions
from .saving import SessionRow
from .session import ServerSession, UnopenedSession
from .standing import Standing, standing
from .token_cookie import Credentials, TokenCookie, hash_token

log = logging.getLogger(__name__)

_LOAD_ERROR = "sessionsite.session_load_error"
_UNREADABLE = "Session %s can't be read, a new one takes its place: %s"
_FIRST, _LAST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1971, 9000))
_LAST_VERSION = 2**31 - 1  # of PostgreSQL's integer, which each write counts up
# More signed cookies of our name than that are no accident, and each one costs a read.
MAX_COOKIES = 4
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(slots=True)  # a frozen one takes twice as long to make, at each request
class Found:
    """What a cookie holds, the row that it names, and what the cookie's token is to the row."""

    credentials: Credentials
    record: Record
    token_hash: bytes
    standing: Standing


@implementer(IServerSessionFactory)
class ServerSessionFactory:
    """Makes `request.session`; thread-safe. `now` returns the time, aware and in UTC."""

    def __init__(
        self,
        store: SessionStore,
        settings: ServerSettings,
        now: Callable[[], dt.datetime] = utc_now,
        old: OldFactory | None = None,
    ) -> None:
        """`old`: whose visitors are carried over."""
        check_store(store)
        self.store = store
        self.settings = settings
        self.now = now
        self.prune_interval = settings.prune_interval
        self.description = SessionDescription(
            where=store.where,
            durability=store.durability,
            replication=store.replication,
            cookie=settings,
            lifetime=settings.lifetime,
            max_bytes=settings.max_bytes,
        )
        self.cookie = TokenCookie(settings)
        self.expiry = Expiry.from_settings(settings)
        self.availability = Availability(now)
        self._health = HealthCheck(lambda: self.store, self.availability, now)
        self.old = OldSessions(old, lambda: self.store, settings, self.expiry) if old else None

    def __call__(self, request: Request) -> ServerSession:
        """Return the session of `request`, a new one if it has none. Raises `StoreError`."""
        session: ServerSession = open_session(request, self.cookie.header, self, self._load)
        return session

    def _load(self, request: Request) -> ServerSession:
        tell = Teller(request)
        failed = request.environ.get(_LOAD_ERROR)
        if failed:  # once is enough: an error page must not wait for the store again
            raise StoreError(str(failed)) from failed
        asked = self.availability.ask(writes=False)
        try:
            return self._open(request, tell, asked)
        except StoreError as exc:
            request.environ[_LOAD_ERROR] = exc
            self.availability.lost(exc, asked, tell)
            raise

    def ping(self) -> None:
        """Raise `StoreError` unless the store can be read and written.

        The store is asked at most once in a few seconds.
        """
        self._health.ask()

    def _open(self, request: Request, tell: Teller, asked: Asked) -> ServerSession:
        presented = self.cookie.read(request)
        now = self.now()
        found = [self._find(credentials, now) for credentials in presented[:MAX_COOKIES]]
        if presented:
            self.availability.answered(asked, tell)
        known = [each for each in found if each is not None]
        # Of two tokens of one session the current one counts, wherever its cookie stands.
        if len(known) > 1:
            known.sort(key=lambda each: each.standing is Standing.CURRENT)
        live = {each.record.id: each for each in known if each.standing.opens}
        if len(live) > 1 or len(presented) > MAX_COOKIES:
            log.warning(
                "A request came with several cookies that open a session (%s). One of them may "
                "have been planted: none is opened, and all are cleared",
                ", ".join(live),
            )
            return self._session(tell, ambiguous=True)
        for each in live.values():
            try:
                old = self.old if self.old and self.old.is_beside(request) else None
                return self._session(tell, each.credentials, each.record, each.token_hash, old=old)
            except ValueError as exc:
                log.warning(_UNREADABLE, each.record.id, exc)
                return self._session(tell)
        for each in known:
            self._log_or_end(each, now, tell)
        return self._unopened(request, tell, presented, known)

    def _unopened(
        self,
        request: Request,
        tell: Teller,
        presented: list[Credentials],
        known: list[Found],
    ) -> ServerSession:
        """Return a new session for a request none of whose cookies opens one.

        The form that the visitor still has before them must work: its answer may have been lost,
        or the session has ended. What a page shows from now on has a CSRF token of its own, unless
        nothing can be stored.
        """
        if not presented and self.old is not None and self.old.is_in(request):
            return self._carried(request, tell, self.old)
        replaced = [each for each in known if each.standing is Standing.REPLACED]
        if replaced:
            return self._session(tell, replaced[0].credentials, detached=True)
        if presented and request.method not in SAFE_METHODS:
            return self._session(tell, presented[0])
        return self._session(tell)

    def _carried(self, request: Request, tell: Teller, old: OldSessions) -> ServerSession:
        """Return the session that the visitor's session of another factory has become."""
        now = self.now()
        carried = old.carry(request, now)
        if carried is None:
            return self._session(tell, old=old)
        record, old_hash = carried.record, carried.old_hash
        if carried.token is not None:
            tell.session(SessionCreated, record.id, record.owner)
        elif not standing(record, old_hash, self.expiry, now).opens:
            return self._session(tell, old=old)
        try:
            session = self._session(tell, None, record, old_hash, old=old)
        except ValueError as exc:
            log.warning(_UNREADABLE, record.id, exc)
            return self._session(tell, old=old)
        session.announce(carried.token)
        return session

    def _find(self, credentials: Credentials, now: dt.datetime) -> Found | None:
        try:
            record = self.store.load(credentials.id, now)
        except MalformedRecordError as exc:
            log.warning(_UNREADABLE, credentials.id, exc)
            return None
        # A store that answers with another visitor's row must open nothing.
        if record is None or record.id != credentials.id:
            log.info("A cookie names session %s, which has ended", credentials.id)
            return None
        if not _plausible(record):
            log.warning(_UNREADABLE, record.id, "its times or its version are out of range")
            return None
        if self.expiry.is_over(record, now):
            log.info("Session %s: over, by a lifetime that was lowered since", record.id)
            return None
        token_hash = hash_token(credentials.token)
        stands = standing(record, token_hash, self.expiry, now)
        return Found(credentials, record, token_hash, stands)

    def _log_or_end(self, found: Found, now: dt.datetime, tell: Teller) -> None:
        """Say what is known of a token that opens nothing; a copied one may end the session."""
        id_ = found.record.id
        if found.standing is not Standing.REUSED:
            log.info("Session %s: a cookie with a token that was replaced", id_)
            return
        log.warning("Session %s: a token came back after it was replaced: it may be stolen", id_)
        if self.settings.on_reuse != "end":
            return

        ended: list[Record] = []

        def end(newest: Record) -> Record | None:
            ended.clear()
            if standing(newest, found.token_hash, self.expiry, now) is not Standing.REUSED:
                return newest
            ended.append(newest)
            return None

        self.store.update(id_, now, end)
        for record in ended:
            tell.session(SessionEnded, id_, record.owner, reason=EndReason.REUSE)

    def _session(
        self,
        tell: Teller,
        came_with: Credentials | None = None,
        record: Record | None = None,
        token_hash: bytes | None = None,
        *,
        detached: bool = False,
        ambiguous: bool = False,
        old: OldSessions | None = None,
    ) -> ServerSession:
        row = SessionRow(
            record,
            store=self.store,
            expiry=self.expiry,
            now=self.now,
            settings=self.settings,
            tell=tell,
            availability=self.availability,
            presented=token_hash,
            came_with=came_with,
            detached=detached,
        )
        kind = UnopenedSession if came_with and record is None else ServerSession
        return kind(
            row,
            self.cookie,
            cache_control=self.settings.cache_control,
            set_on_exception=self.settings.set_on_exception,
            ambiguous=ambiguous,
            old=old,
        )


def _plausible(record: Record) -> bool:
    """Return whether one can reckon with the record's numbers; a hand may have put in any."""
    for time in (record.created_at, record.seen_at, record.rotated_at):
        if time is not None and not _FIRST < time < _LAST:
            return False
    return (
        record.version < _LAST_VERSION
        and (record.timeout is None or 0 <= record.timeout <= MAX_SECONDS)
        and (record.lifetime is None or 0 <= record.lifetime <= MAX_SECONDS)
    )
