"""A new connection in time: name look-up, TLS and passwords included.

Nothing ends a name look-up but its own end, so each connection is made in a thread of its own.
"""

from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

from .. import forks

# Each lives as long as the system's resolver goes on asking; probes come twice per second.
_MAX_ATTEMPTS = 64


class Connector(forks.Forked):
    """Makes the connections of one engine."""

    def __init__(self) -> None:
        self.after_fork_in_child()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        self._attempts: set[Thread] = set()

    def connect(
        self, make: Callable[[], Any], wait: Callable[[Callable[[float], bool]], bool]
    ) -> Any:
        """Return what `make` returns; what comes too late is closed.

        `wait` is given what waits for some seconds, and returns whether it was done in time. Raises
        what `make` or `wait` raises, and `TimeoutError`.
        """
        self._attempts = {thread for thread in self._attempts if thread.is_alive()}
        if len(self._attempts) >= _MAX_ATTEMPTS:
            raise TimeoutError
        attempt = _Attempt(make)
        thread = Thread(target=attempt.run, name="session-store-connect", daemon=True)
        self._attempts.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the process may have no further thread
            return make()
        try:
            if not wait(attempt.done.wait):
                raise TimeoutError
            return attempt.take()
        except BaseException:
            attempt.abandon()
            raise


class _Attempt:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = Lock()  # guards what follows
        self._abandoned = False
        self._made: Any = None
        self._error: BaseException | None = None
        self.done = Event()

    def run(self) -> None:
        try:
            made = self._make()
        except BaseException as exc:
            self._error = exc
        else:
            with self._lock:
                self._made = made
                if self._abandoned:
                    self._close()
        self.done.set()

    def take(self) -> Any:
        if self._error is not None:
            raise self._error
        made, self._made = self._made, None
        return made

    def abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            self._close()

    def _close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.close()
