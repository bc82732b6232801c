"""A session for unit tests: a real one, over a store in memory."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Self

from ..sessions import (
    MemoryStore,
    ServerSession,
    ServerSessionFactory,
    SessionStore,
    server_settings,
    utc_now,
)
from ..sessions.events import Teller
from ..sessions.server.saving import SessionRow

# Of a cookie that no browser is sent.
COOKIE = {"session.secret": secrets.token_hex(), "session.secure": "true"}


class DummySession(ServerSession):
    """`request.session` of the server factory, for a test of a view that has no app.

        request = DummyRequest(session=DummySession({"cart": ["tea"]}, owner="user:42"))

    It is no imitation: it has a row in a store, so that each method does, and raises, what it does
    in production. There is no response: what the view changes is in the dict, and is stored by
    `save()`, `transact()`, `login()`, or `again()`. It tells no events.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        store: SessionStore | None = None,
        settings: Mapping[str, Any] | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Make a session that an earlier request has stored; without data and owner, a new one.

        `store`: where its row is; by default in a `MemoryStore` of its own. `settings`: an app's,
        of which it reads `session.*`. `now` returns the time, aware and in UTC. Raises
        `PayloadError`, `ConfigurationError`; for an owner TypeError, ValueError.
        """
        server = server_settings(COOKIE | dict(settings or {}))
        self._factory = ServerSessionFactory(MemoryStore() if store is None else store, server, now)
        self._open(None)
        self.update(data or {})
        self.owner = owner
        self.save()
        self._open(self.id)

    def again(self) -> Self:
        """Save, and return the session as the visitor's next request finds it.

        That is a new, empty one if this session has ended. Two of one session are two parallel
        requests. Raises what `save` raises.
        """
        self.save()
        found: Self = type(self).__new__(type(self))
        found._factory = self._factory
        found._open(self.id)
        return found

    def _open(self, id: str | None) -> None:
        """Become the session with this id, or a new one if there is none."""
        of = self._factory
        now = of.now()
        record = None if id is None else of.store.load(id, now)
        if record is not None and of.expiry.is_over(record, now):
            record = None
        super().__init__(
            SessionRow(
                record,
                store=of.store,
                expiry=of.expiry,
                now=of.now,
                settings=of.settings,
                tell=Teller(),
                availability=of.availability,
                presented=record and record.token_hash,
            ),
            of.cookie,
            set_on_exception=of.settings.set_on_exception,
            cache_control=of.settings.cache_control,
        )


def memory_store(settings: Mapping[str, Any]) -> MemoryStore:
    """Return an empty store, for `session.store = sessionsite.testing.memory_store`."""
    return MemoryStore()
