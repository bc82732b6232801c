"""Deletes expired rows now and then, from inside the server."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from .store import SessionStore, StoreError

log = logging.getLogger(__name__)

BATCH = 1000


def prune_all(store: SessionStore, now: datetime, batch: int = BATCH) -> Iterator[int]:
    """Delete all rows that have expired at `now`, yielding the size of each batch."""
    while removed := store.prune(now, batch):
        yield removed
        if removed < batch:
            return


class Sweeper(threading.Thread):
    """Sweeps every `interval` seconds, each ± 50 % at random; one process sweeps at a time.

    At random, so that processes that started together do not all come back together. A store
    that several processes share has a method `sweeping`, a context that is True for one of them
    at a time. The thread ends with the process.
    """

    def __init__(self, store: SessionStore, interval: float, now: Callable[[], datetime]) -> None:
        super().__init__(name="session-sweeper", daemon=True)
        self._store = store
        self._sweeping: Callable[[], AbstractContextManager[bool]] = getattr(
            store, "sweeping", lambda: nullcontext(True)
        )
        self._interval = interval
        self._now = now
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self.pause()):
            self.sweep()

    def pause(self) -> float:
        """Return how many seconds to wait for the next sweep."""
        return self._interval * random.uniform(0.5, 1.5)  # noqa: S311  # only spreads load

    def sweep(self) -> int:
        """Delete what has expired, unless another process is at it; return how many rows."""
        removed = 0
        try:
            with self._sweeping() as ours:
                if ours:
                    for size in prune_all(self._store, self._now()):
                        removed += size
        except StoreError as exc:
            log.warning("Session sweep: %s", exc)
        if removed:
            log.info("Session sweep: %d expired sessions removed", removed)
        return removed

    def stop(self) -> None:
        self._stopped.set()
