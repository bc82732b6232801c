"""How a server process is told to stop."""

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

log = logging.getLogger(__name__)


class StopSignals:
    """SIGTERM and SIGINT, which mean the same: finish what has begun, and end.

    We handle both, whatever was inherited: process 1 of a container has no default handler, and a
    shell that starts a process with `&` in a script has SIGINT ignored.
    """

    def __init__(self) -> None:
        """Handle them from now on. Call it in the main thread."""
        self.received: signal.Signals | None = None
        self._wake: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def call(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the first signal comes; until then a signal ends the program.

        The program is then still on its way up, and has no request to finish.
        """
        self._wake = wake

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)  # as a shell tells of it; pserve would turn SystemExit into 0
        self.received = signal.Signals(number)
        if self._wake is None:
            raise SystemExit
        self._wake()
