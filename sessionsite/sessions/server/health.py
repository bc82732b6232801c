"""The health check: each call reads, and one in a few seconds writes, however many ask."""

from collections.abc import Callable
from datetime import datetime
from threading import Event
from time import monotonic

from .. import forks
from ..store import SessionStore, StoreError
from ..waiting import MOMENT
from .availability import Availability

INTERVAL = 3.0  # seconds


class HealthCheck(forks.Forked):
    """Asks one store; thread-safe."""

    def __init__(
        self,
        store: Callable[[], SessionStore],
        availability: Availability,
        now: Callable[[], datetime],
    ) -> None:
        """`store` returns the store: an app may put another one around it."""
        self._store = store
        self._availability = availability
        self._now = now
        self.after_fork_in_child()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        self._written = float("-inf")
        self._writing: dict[str, object] = {}  # whose turn it is; no lock, which a fork could keep
        self._tried = Event()
        self._error: StoreError | None = None
        self._failed = 0  # calls, as of our last write
        self._contradictions = 0

    def ask(self) -> None:
        """Raise `StoreError` unless the store can be read and written.

        Also if requests go on to fail though we could write: a full disk may have room for our row.
        """
        self._store().load("", self._now())
        claim = object()
        due = monotonic() - self._written >= INTERVAL
        if due and self._writing.setdefault("now", claim) is claim:
            try:
                self._write()
            finally:
                del self._writing["now"]
        # Others are told what was found before: a store that is silent holds one thread.
        if not self._tried.wait(MOMENT):
            raise StoreError("the first row is still being written")
        if self._error is not None:
            raise StoreError(str(self._error)) from self._error
        # Once is not enough: the store may be back since, and no request has found out.
        if self._contradictions > 1 and self._availability.away:
            raise StoreError(self._availability.last_error)

    def _write(self) -> None:
        try:
            self._store().try_write(self._now())
        except StoreError as exc:
            self._error = exc
            self._contradictions = 0
        else:
            self._error = None
            self._written = monotonic()
            self._compare()
        finally:
            self._tried.set()

    def _compare(self) -> None:
        """Count how often requests have failed between our writes, and fail still."""
        failed, before = self._availability.failed, self._failed
        self._failed = failed
        goes_on = self._availability.away and failed != before
        self._contradictions = self._contradictions + 1 if goes_on else 0
