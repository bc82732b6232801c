"""Requests that wait for a row, a connection or an answer for longer than a moment.

So many may at once, since each one holds a thread of the server. The others get a
`StoreBusyError`, so that threads remain for visitors who would not have to wait, and for pages
without a session.
"""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from . import forks
from .store import StoreBusyError

MOMENT = 0.5
"""Seconds. Shorter than that, a wait is a busy server's everyday life."""


class Waiter(Protocol):
    """A request that may have to wait."""

    key: str
    """What it waits for: a session's id, an owner."""

    def gives_way(self) -> bool:
        """Return whether it may not wait for longer than a moment, but as the only one."""

    def starves(self) -> None:
        """Note that nothing moves for what it waits for."""


def wait_alone(ready: Callable[[float], bool], seconds: float) -> bool:
    """Call `ready` with seconds to wait until it returns True; return whether it did in time."""
    deadline = monotonic() + seconds
    while not ready(min(MOMENT / 2, max(0.0, deadline - monotonic()))):
        if monotonic() >= deadline:
            return False
    return True


class WaitingRoom(forks.Forked):
    """Has `seats` for those that wait; without a lock, which a fork could leave taken.

    A queue that moves is no reason to send anyone away: whoever waits beyond the seats may stay for
    as long as others with the same key get what they wait for.
    """

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.after_fork_in_child()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        # What each one waits for, and since when, in order of arrival.
        self._waiting: dict[Waiter, tuple[str, float]] = {}
        self._moved: dict[str, float] = {}  # when another request got it

    def admit(self, waiter: Waiter) -> None:
        """Raise `StoreBusyError` if all seats are taken, and `waiter` would have to wait too."""
        if not self._waiting:
            return
        now = monotonic()
        keys = [key for key, since in list(self._waiting.values()) if now - since >= MOMENT]
        if len(keys) >= self.seats and waiter.key in keys:
            self._refuse_unless_it_moves(waiter.key)

    def wait(
        self, waiter: Waiter, ready: Callable[[float], bool], seconds: float, key: str | None = None
    ) -> bool:
        """Call `ready` with seconds to wait until it returns True; return whether it did in time.

        `key`: what is waited for, if not the waiter's own. Raises `StoreBusyError`.
        """
        since = monotonic()
        if ready(min(MOMENT / 2, seconds)):
            return True
        key = waiter.key if key is None else key
        self._waiting[waiter] = key, since  # only now, so that a request that need not wait is free
        try:
            while (left := since + seconds - monotonic()) > 0:
                if ready(min(MOMENT / 2, left)):
                    return True
                seats = 1 if waiter.gives_way() else self.seats
                if waiter not in list(self._waiting)[:seats]:
                    self._refuse_unless_it_moves(key)
            return False
        finally:
            self._waiting.pop(waiter, None)
            if not self._waiting:
                self._moved.clear()

    def moved(self, key: str) -> None:
        """Note that a request got what others with `key` may wait for."""
        if self._waiting and any(key == other for other, _ in list(self._waiting.values())):
            self._moved[key] = monotonic()

    def _refuse_unless_it_moves(self, key: str) -> None:
        if monotonic() - self._moved.get(key, 0.0) < MOMENT:
            return
        waiting = list(self._waiting)
        for each in waiting:
            each.starves()
        raise StoreBusyError(f"{len(waiting)} requests wait already, and nothing moves")
