"""Deletes expired rows: `prune_all` at once, `Pruner` now and then from inside the server."""

import atexit
import logging
import random
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from .events import EndReason, SessionEnded, Teller
from .own import RESERVED_OWNER
from .owner_store import OwnerStore, SessionSummary
from .store import SessionStore, StoreError, Sweep

log = logging.getLogger(__name__)

PRUNE_BATCH = 100
"""How many rows a batch of the pruner deletes: more take the CPU from requests for longer."""
LAST_BATCH = 3  # seconds for a batch that is under way when the process ends
_RANDOM = random.SystemRandom()  # the app's own seeds are its own, and a fork copies none


def prune_all(store: SessionStore, now: datetime, batch: int = PRUNE_BATCH) -> Iterator[int]:
    """Delete all rows that have expired at `now`; yield how many rows went, batch by batch.

    `now`: aware. `batch`: rows. Nothing is deleted until the result is iterated over. Raises
    `StoreError`; what was yielded before that stays deleted, unless the database crashes: rows that
    come back open nothing, and are deleted again.
    """
    return _batches(store.prune, now, batch)


def _batches(prune: Callable[[datetime, int], int], now: datetime, batch: int) -> Iterator[int]:
    while deleted := prune(now, batch):
        yield deleted
        if deleted < batch:
            return


def note_sweep(store: SessionStore, began: datetime, ended: datetime, rows: int) -> None:
    """Have the store remember a run that has deleted all expired rows; `began`, `ended`: aware.

    The rows are gone whether or not that can be noted, so a store that fails here is only logged.
    """
    try:
        store.note_sweep(Sweep(ended, rows, (ended - began).total_seconds()))
    except StoreError as exc:
        log.warning("Session pruner: its run could not be noted: %s", exc)


class Pruner(threading.Thread):
    """Prunes about every `interval` seconds; one process prunes at a time.

    Each pause is half to one and a half times as long, at random, so that processes that started
    together do not come back together.
    The thread ends with the process, between two batches. A process that is killed may cut a batch
    off: each is a statement of its own, which the database then finishes or undoes.
    """

    def __init__(
        self,
        store: SessionStore,
        interval: float,
        now: Callable[[], datetime],
        tell: Teller | None = None,
        lifetime: int | None = None,
    ) -> None:
        """`interval`: seconds. `now` returns the time, aware and in UTC. `tell` tells the ends of
        sessions. `lifetime`: seconds, of those that set none.
        """
        super().__init__(name="session-pruner", daemon=True)
        self._store = store
        self._interval = interval
        self._now = now
        self._tell = tell or Teller()
        self._lifetime = lifetime
        self._stopped = threading.Event()

    def run(self) -> None:
        """Prune until `stop` is called, or the process ends: what `start` has the thread do."""
        # Any server, and any program, runs this at its end, while other threads still work.
        atexit.register(self._end)
        try:
            while not self._stopped.wait(self.pause()):
                self.prune()
        finally:
            atexit.unregister(self._end)

    def _end(self) -> None:
        if self.is_alive():  # a fork has no such thread, and its lock may be taken for ever
            self.stop()
            self.join(LAST_BATCH)

    def pause(self) -> float:
        """Return how many seconds to wait before the next run."""
        return self._interval * _RANDOM.uniform(0.5, 1.5)

    def prune(self) -> int:
        """Delete what has expired, unless another process is doing so; return how many rows."""
        deleted, complete = 0, False
        began = self._now()
        try:
            with self._store.sweeping() as ours:
                if ours:
                    for size in _batches(self._prune_batch(), began, PRUNE_BATCH):
                        deleted += size
                        if self._stopped.is_set():
                            break
                    else:
                        complete = True
        except StoreError as exc:
            log.warning("Session pruner: %s", exc)
        ended = self._now()
        if complete:
            note_sweep(self._store, began, ended, deleted)
        log.log(
            logging.INFO if deleted else logging.DEBUG,
            "Session pruner: %d expired sessions removed in %.1f seconds",
            deleted,
            (ended - began).total_seconds(),
        )
        return deleted

    def _prune_batch(self) -> Callable[[datetime, int], int]:
        """Return what deletes a batch, and tells of it if that is heard."""
        store = self._store
        # What nobody hears need not come back from the store: that is most of the CPU here.
        if not (self._tell.is_heard and isinstance(store, OwnerStore)):
            return store.prune

        def prune(now: datetime, limit: int) -> int:
            deleted = store.prune_batch(now, limit)
            for each in deleted:
                if each.owner != RESERVED_OWNER:
                    self._tell.session(
                        SessionEnded, each.id, each.owner, reason=self._reason(each, now)
                    )
            return len(deleted)

        return prune

    def _reason(self, ended: SessionSummary, now: datetime) -> EndReason:
        if ended.expires_at is None or ended.expires_at > now:
            return EndReason.REVOKED  # by a store that had lost whose it was
        lifetime = self._lifetime if ended.lifetime is None else ended.lifetime
        if lifetime and ended.expires_at == ended.created_at + timedelta(seconds=lifetime):
            return EndReason.ABSOLUTE
        return EndReason.IDLE

    def stop(self) -> None:
        """End the thread, after the batch that is under way; `join` waits for it."""
        self._stopped.set()
