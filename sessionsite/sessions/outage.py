"""While the store is away, one request at a time finds out whether it is back."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Self

from .store import StoreError


class Outage:
    """Lets the others fail at once: threads that all wait for a time-out serve nobody else."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self._asking = Lock()

    def begin(self, reason: str) -> None:
        self._reason = reason

    def end(self) -> None:
        self._reason = None

    @contextmanager
    def watch(self) -> Iterator[Self]:
        """Raise `StoreError` if the store is away and another request is asking for it."""
        if self._reason is None:
            yield self
            return
        if not self._asking.acquire(blocking=False):
            raise StoreError(f"still away: {self._reason}")
        try:
            yield self
        finally:
            self._asking.release()
