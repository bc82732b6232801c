"""The circuit breaker: while the store is away, a request or two find out whether it is back."""

from threading import Lock
from time import monotonic

from .store import StoreError
from .waiting import MOMENT

_SEVERAL = 3
_MAX_PROBES = 2


class CircuitBreaker:
    """Has all requests but the probes fail at once.

    If their threads all waited for a time-out, none would be left for requests that need no
    session. One probe has all the time there is; if it takes longer than a moment, a second one
    looks whether the store is back by now.
    """

    def __init__(self) -> None:
        self._reason: str | None = None
        self._timed_out: set[str] = set()
        self._lock = Lock()  # guards the probes
        self._probes = 0
        self._last_probe = 0.0
        self._shut = False

    @property
    def is_open(self) -> bool:
        """Whether the store is away."""
        return self._reason is not None

    def trip(self, reason: str) -> None:
        """Note that the store is away."""
        self._reason = reason

    def timed_out(self, key: str, reason: str) -> None:
        """Note that the session or owner `key` was waited for in vain.

        One session's row may be locked for long. If several sessions have to wait, and none gets
        anywhere in between, it is the store.
        """
        self._timed_out.add(key)
        if len(self._timed_out) >= _SEVERAL:
            self.trip(reason)

    def reset(self) -> None:
        """Note that the store has answered."""
        if self._reason is not None or self._timed_out:
            self._timed_out = set()
            self._reason = None

    def admit(self) -> bool:
        """Let the caller ask the store; return whether it is a probe, which has to `release`.

        Raises `StoreError` if the store is away, and there are probes enough.
        """
        if (reason := self._reason) is None:
            return False
        now = monotonic()
        with self._lock:
            enough = self._probes >= _MAX_PROBES or (
                self._probes and now - self._last_probe < MOMENT
            )
            if self._shut or enough:
                raise StoreError(f"still away: {reason}")
            self._probes += 1
            self._last_probe = now
        return True

    def shut(self, reason: str) -> None:
        """Admit nobody from now on."""
        self.trip(reason)
        self._shut = True

    def release(self) -> None:
        """End a probe."""
        with self._lock:
            self._probes -= 1
