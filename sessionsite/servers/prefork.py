"""Several processes that serve one app, forked off one that only watches over them."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from .stopping import StopSignals

log = logging.getLogger(__name__)

# One that dies sooner than this after its start would die again: the next one waits.
SOON: Final = 1.0  # seconds


def fork_workers(
    count: int, stop: StopSignals, patience: float, on_stop: Callable[[], object]
) -> bool:
    """Return True in each of `count` workers, and False in this process once all have ended.

    A worker that dies is replaced, until a signal comes. Then `on_stop` is called here, and each
    worker gets SIGTERM, although a terminal may have signalled all processes already; what is left
    after `patience` seconds is killed. A worker whose parent is gone gets SIGTERM, too.
    """
    return _Workers(count, stop).watch(patience, on_stop)


class _Workers:
    def __init__(self, count: int, stop: StopSignals) -> None:
        self._parent = os.getpid()
        self._count = count
        self._stop = stop
        self._pipes: dict[int, int] = {}  # by process id: what it reads is told to stop
        self._began: dict[int, float] = {}
        self._not_before = 0.0

    def watch(self, patience: float, on_stop: Callable[[], object]) -> bool:
        self._stop.attend()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ends a wait
        while self._stop.received is None and not self._fork_missing():
            late = len(self._pipes) < self._count
            self._stop.wait(max(self._not_before - time.monotonic(), 0) if late else None)
            self._reap()
        return os.getpid() != self._parent or self._end(patience, on_stop)

    def _end(self, patience: float, on_stop: Callable[[], object]) -> bool:
        """Stop the workers, and return False."""
        on_stop()
        for pipe in self._pipes.values():
            with suppress(BrokenPipeError):  # it is dead already
                os.write(pipe, b"s")
        deadline = time.monotonic() + patience
        while self._pipes and (left := deadline - time.monotonic()) > 0:
            self._stop.wait(left)
            self._reap()
        for pid in self._pipes:
            log.error("Worker process %d does not stop: killed", pid)
            os.kill(pid, signal.SIGKILL)
        return False

    def _fork_missing(self) -> bool:
        """Return True in a new worker."""
        missing = self._count - len(self._pipes)
        tries = (time.monotonic() >= self._not_before for _ in range(missing))
        return any(due and self._fork() for due in tries)  # ends at the first True

    def _fork(self) -> bool:
        """Return True in the worker."""
        try:
            pid, read, write = _fork_with_pipe()
        except OSError as exc:
            log.error("No worker process can be started, another try is in a second: %s", exc)
            self._not_before = time.monotonic() + SOON
            return False
        (self._in_parent if pid else self._in_worker)(pid, read, write)
        return pid == 0

    def _in_parent(self, pid: int, read: int, write: int) -> None:
        os.close(read)
        self._pipes[pid] = write
        self._began[pid] = time.monotonic()

    def _in_worker(self, _: int, read: int, write: int) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._stop.ignore_further()
        for pipe in (write, *self._pipes.values()):
            os.close(pipe)
        name = "worker-parent"
        threading.Thread(target=self._obey, args=(read,), name=name, daemon=True).start()

    def _obey(self, pipe: int) -> None:
        """In a worker: stop when the parent says so, or is gone."""
        told = os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        if told:
            # It reads nothing, once the parent has ended before us: a second signal has come.
            os._exit(128 + signal.SIGTERM + len(os.read(pipe, 1)))

    def _reap(self) -> None:
        for pid in list(self._pipes):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            os.close(self._pipes.pop(pid))
            now = time.monotonic()
            if self._stop.received is None:
                code = os.waitstatus_to_exitcode(status)
                log.error("Worker process %d has ended with status %d: starting another", pid, code)
                if now - self._began.pop(pid) < SOON:
                    self._not_before = now + SOON


def _fork_with_pipe() -> tuple[int, int, int]:
    """Raises OSError where no memory, process or descriptor is left."""
    read, write = os.pipe()
    try:
        return os.fork(), read, write
    except OSError:
        os.close(read)
        os.close(write)
        raise
