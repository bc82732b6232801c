"""The sessions of all visitors: listed by owner, and ended from outside.

`request.session_store` is one. What it ends is over at the next request, in every process.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyramid.events import ApplicationCreated
from pyramid.interfaces import IRequestFactory
from pyramid.registry import Registry
from pyramid.request import Request

from .events import EndReason, SessionEnded, Teller
from .interfaces import server_factory
from .owner_store import OwnerStore, SessionSummary
from .store import SessionStore, delete_live, utc_now

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class AllSessions:
    """What an app asks about sessions other than that of the request.

    Each method raises `StoreError`, and TypeError where the store finds no sessions by owner.
    """

    def __init__(
        self,
        store: SessionStore,
        now: Callable[[], datetime] = utc_now,
        registry: Registry | None = None,
        request: Request | None = None,
        by: str = "a script",
    ) -> None:
        """`now` returns the time, aware. `registry`: whose subscribers are told what ends.
        `request`: the one that asks; without one, `by` is who asks, for the audit log.
        """
        self._store = store
        self._now = now
        self._tell = Teller(request, registry, by)
        self._request = request

    def sessions_of(self, owner: str) -> Sequence[SessionSummary]:
        """Return the owner's sessions, the last used first; `current` marks the request's own."""
        found = self._owner_store().sessions_of(owner, self._now())
        current = self._current_id()
        return [replace(each, current=True) if each.id == current else each for each in found]

    def end(self, id: str) -> bool:
        """End one session; return whether there was one. Ask first whose it is."""
        ended, record = delete_live(self._store, id, self._now())
        if record is not None:
            self._tell.session(SessionEnded, id, record.owner, reason=EndReason.REVOKED)
        return ended

    def end_owner(self, owner: str, except_id: str | None = None) -> int:
        """End the owner's sessions, the one with `except_id` aside; return how many.

        All that were the owner's when it was called have ended when it returns. A login that runs
        at the same time is either ended, or newer than the call.
        """
        return self._ended(self._owner_store().end_owner(owner, self._now(), except_id))

    def end_all(self, before: datetime | None = None) -> int:
        """End all sessions that were created before a time, by default now; return how many.

        `before`: aware.
        """
        return sum(self.end_older(created_before=before))

    def end_older(
        self, created_before: datetime | None = None, unused_since: datetime | None = None
    ) -> Iterator[int]:
        """End the sessions that are older by both times; yield how many, batch by batch.

        `created_before`, `unused_since`: aware; None for any. Nothing ends until the result is
        iterated over; what was yielded has ended for good.
        """
        now = self._now()
        batches = self._owner_store().end_older(now, created_before or now, unused_since or _NEVER)
        for batch in batches:
            yield self._ended(batch)

    def _ended(self, summaries: Sequence[SessionSummary]) -> int:
        for each in summaries:
            self._tell.session(SessionEnded, each.id, each.owner, reason=EndReason.REVOKED)
        return len(summaries)

    def _current_id(self) -> str | None:
        if self._request is None:
            return None
        id_: str | None = getattr(self._request.session, "id", None)
        return id_

    def _owner_store(self) -> OwnerStore:
        if isinstance(self._store, OwnerStore):
            return self._store
        raise TypeError(
            f"{type(self._store).__name__} finds no sessions by their owner: inherit from "
            "OwnerStore, and write what has no default there"
        )


def all_sessions(registry: Registry, request: Request | None = None) -> AllSessions | None:
    """Return the sessions of the app; None where its session factory keeps them in no store."""
    factory = server_factory(registry)
    if factory is None:
        return None
    return AllSessions(factory.store, factory.now, registry, request)


def give_session_store(event: ApplicationCreated) -> None:
    """Give the app's requests `session_store`: a property of their class, made once.

    For one of `config.add_request_method` Pyramid makes a new class for every request.
    """
    app, registry = event.app, event.app.registry
    made = app.request_factory
    store = property(lambda request: all_sessions(request.registry, request))
    if isinstance(made, type):
        app.request_factory = type(made.__name__, (made,), {"session_store": store})
    else:

        def with_store(environ: dict[str, Any]) -> Any:
            request = made(environ)
            request.set_property(store, "session_store")
            return request

        app.request_factory = with_store
    registry.registerUtility(app.request_factory, IRequestFactory)
