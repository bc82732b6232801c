"""While the store is away, one request at a time finds out whether it is back."""

from threading import Lock

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

    def enter(self) -> bool:
        """Return whether the caller is the one that asks; to be given to `leave` in any case.

        Raises `StoreError` if the store is away and another request is asking for it.
        """
        if self._reason is None:
            return False
        if not self._asking.acquire(blocking=False):
            raise StoreError(f"still away: {self._reason}")
        return True

    def leave(self, asks: bool) -> None:
        if asks:
            self._asking.release()
