"""How a server process is told to stop."""

import logging
import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

log = logging.getLogger(__name__)


class StopSignals:
    """SIGTERM, SIGINT, SIGQUIT and SIGHUP, which mean the same: finish what has begun, and end.

    We handle them whatever was inherited: process 1 of a container has no default handler, and a
    shell that starts a process with `&` in a script has SIGINT ignored. Only a SIGHUP that `nohup`
    has had ignored stays so.
    """

    def __init__(self) -> None:
        """Handle them from now on. Call it in the main thread."""
        self.received: signal.Signals | None = None
        self._wake: Callable[[], None] | None = None
        self._further = True
        self._pipe: tuple[int, ...] = ()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def call(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the first signal comes; until then a signal ends the program.

        The program is then still on its way up, and has no request to finish.
        """
        self._wake = wake

    def attend(self) -> None:
        """Have signals end `wait` from now on. Call it in the main thread, and after a fork again.

        The kernel gives a signal to any thread. Python runs our handler in the main one, but leaves
        that waiting where another one, of Rust's say, was given the signal; what it writes to the
        wakeup fd ends the wait.
        """
        self.call(lambda: None)
        for end in self._pipe:  # the parent's
            os.close(end)
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def wait(self, seconds: float | None = None) -> None:
        """Return once this process has been given a signal that it handles: SIGCHLD, too."""
        read = self._pipe[0]
        signalled = select.poll()
        signalled.register(read, select.POLLIN)
        signalled.poll(None if seconds is None else seconds * 1000)
        with suppress(BlockingIOError):
            os.read(read, 4096)

    def ignore_further(self) -> None:
        """Let no second signal end the program.

        A worker gets one from its parent, beside the one that a terminal or systemd sends to all
        processes.
        """
        self._further = False

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            # of one terminal that closes, the kernel tells, and so does its shell
            if self._further and number != signal.SIGHUP:
                os._exit(128 + number)  # as a shell has it; pserve would turn SystemExit into 0
            return
        self.received = signal.Signals(number)
        if self._wake is None:
            raise SystemExit
        self._wake()
