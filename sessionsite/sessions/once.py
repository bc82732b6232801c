"""What each process that serves requests begins once, such as a thread of its own."""

import logging
from collections.abc import Callable

from . import forks

log = logging.getLogger(__name__)


class OncePerProcess:
    """Calls `start` once in each process, when the process serves its first request.

    It is too early when the app is made. A server that forks (gunicorn's master, Celery's parent),
    pshell and scripts load the app and serve no request, and no thread survives a fork.
    """

    def __init__(self, name: str, start: Callable[[], None]) -> None:
        """`name`: of what is started, for the log."""
        self._name = name
        self._start = start
        self._pid = 0  # no process's
        self._claims: dict[int, object] = {}

    def serve(self) -> None:
        """Note that this process serves a request."""
        if self._pid == forks.pid:
            return
        forks.notice()
        pid = forks.pid
        claim = object()
        # The first of several threads; not a lock, which a fork could leave taken.
        if self._claims.setdefault(pid, claim) is claim:
            try:
                self._start()
            except RuntimeError as exc:  # the process may have no further thread
                log.warning("%s: %s; the next request tries again", self._name, exc)
                del self._claims[pid]
                return
        self._pid = pid
