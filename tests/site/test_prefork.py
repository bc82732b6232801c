"""The process that starts the workers goes on where the system has no process left for it."""

import errno
import logging
import os
import signal
from typing import Any

import pytest

from sessionsite.servers import prefork
from sessionsite.servers.stopping import StopSignals
from tests.harness.forking import in_child


def test_a_fork_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> dict[str, Any]:
        fork, tries, lines = os.fork, [], []
        parent, files = os.getpid(), len(os.listdir("/proc/self/fd"))

        def fail_twice() -> int:
            tries.append(len(os.listdir("/proc/self/fd")) - files)
            if len(tries) < 3:
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return fork()

        monkeypatch.setattr(os, "fork", fail_twice)
        monkeypatch.setattr(prefork, "SOON", 0.05)
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        prefork.log.addHandler(handler)
        if prefork.fork_workers(1, StopSignals(), 20, lambda: None):
            os.kill(parent, signal.SIGTERM)
            os._exit(0)
        return {"lines": lines, "descriptors": tries}

    told = in_child(work)
    assert len(set(told["descriptors"])) == 1
    said = "No worker process can be started, another try is in a second: [Errno 11]"
    assert [line[: len(said)] for line in told["lines"]] == [said] * 2
