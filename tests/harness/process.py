"""A server process: started, awaited, stopped by its pid, and never left behind.

Run as a script this file is the reaper, a small process that outlives ours by a moment and ends the
servers that we could not end, having been killed. Linux's PR_SET_PDEATHSIG won't do: it fires when
the thread that started the server ends, and its signal does not wake a server that is paused.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self


class ServerError(Exception):
    """A server did not start, or can't do what was asked; the text has its output."""


class Server:
    """One server, started and stopped any number of times. A subclass says when it is `ready`."""

    stop_signal = signal.SIGTERM

    def __init__(self, command: Sequence[str | Path], log: Path, **options: Any) -> None:
        """`log` takes all that it prints; `options` are Popen's: env, cwd, user and the like."""
        self.command = [str(part) for part in command]
        self.log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def ready(self) -> bool:
        """Whether the server, just started, answers."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError(f"{self.command[0]} is stopped")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._status() is None

    def output(self) -> str:
        """What it has printed, over all its starts."""
        return self.log.read_text(errors="replace")

    def start(self, timeout: float = 60) -> Self:
        """Start the server, and return it when it is ready. Raises ServerError, with its output."""
        if self.running:
            return self
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we stop the server
                **self._options,
            )
        tell_reaper(self.pid, self.stop_signal)
        deadline = time.monotonic() + timeout
        try:
            while not self.ready():
                if (status := self._status()) is not None:
                    raise ServerError(f"{self.command} ended with {status}:\n{self.output()}")
                if time.monotonic() > deadline:
                    raise ServerError(f"{self.command} never answered:\n{self.output()}")
                time.sleep(0.02)
        except BaseException:
            self.kill()
            raise
        return self

    def wait(self, timeout: float = 30) -> int:
        """Its exit status, once it has ended. Raises TimeoutExpired."""
        status = self._status(timeout)
        assert status is not None
        return status

    def stop(self, timeout: float = 20) -> None:
        """End it in good order, by force after `timeout` seconds. Stopped already: fine."""
        if self.running:
            _send(self.stop_signal, [self.pid])
            self.resume()
            with suppress(subprocess.TimeoutExpired):
                self._status(timeout)
        self.kill()

    def kill(self) -> None:
        """End it and its children at once. Stopped already: fine."""
        if self.running:
            self.pause()  # it forks nothing while its children are listed
            _send(signal.SIGKILL, family(self.pid))
            self._status(10)
        self._process = None

    def pause(self) -> None:
        """Freeze it and its children: the kernel accepts connections, and nothing answers."""
        _send(signal.SIGSTOP, [self.pid])
        _send(signal.SIGSTOP, family(self.pid))

    def resume(self) -> None:
        """Let it go on after `pause`."""
        _send(signal.SIGCONT, family(self.pid))

    def _status(self, timeout: float | None = None) -> int | None:
        """Its exit status, awaited if there is a `timeout`; None while it runs."""
        assert self._process is not None
        status = self._process.wait(timeout) if timeout else self._process.poll()
        if status is not None:
            tell_reaper(self._process.pid, None)  # the number may be another process's by now
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def family(pid: int) -> list[int]:
    """`pid` and its living descendants. A process group won't do: PostgreSQL's leave theirs."""
    parents = living()
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def living() -> dict[int, int]:
    """Every process that is alive (a zombie is not), with its parent."""
    if Path("/proc/self/stat").exists():
        lines = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):  # it ended while we looked
                # PID (NAME) STATE PARENT …, and a name may hold anything
                stat = Path("/proc", pid, "stat").read_text()
                lines.append(f"{pid} {stat.rpartition(')')[2]}")
    else:
        ps = ["ps", "-A", "-o", "pid=,stat=,ppid="]
        lines = subprocess.run(ps, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split()[:3] for line in lines]
    return {int(pid): int(parent) for pid, state, parent in rows if state[0] not in "ZX"}


def tell_reaper(what: int | str, stop_signal: int | None) -> None:
    """When we end, end the process, or remove the directory, `what`; None takes that back."""
    stdin = _reaper().stdin
    assert stdin is not None
    stdin.write(json.dumps([what, stop_signal]) + "\n")


@cache
def _reaper() -> "subprocess.Popen[str]":
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # a pipe that we write to would stay open after our end
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    atexit.register(reaper.communicate)
    return reaper


def _send(number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _reap() -> None:
    left: dict[int | str, int] = {}
    for line in sys.stdin:  # ends when no process holds the other end: ours is gone
        what, stop_signal = json.loads(line)
        left.pop(what, None)
        if stop_signal is not None:
            left[what] = stop_signal
    for pid in [what for what in left if isinstance(what, int)]:
        _send(left[pid], [pid])
        _send(signal.SIGCONT, family(pid))
        deadline = time.monotonic() + 5
        while pid in living() and time.monotonic() < deadline:
            time.sleep(0.02)
        if pid in living():
            _send(signal.SIGKILL, family(pid))
    for directory in [what for what in left if isinstance(what, str)]:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _reap()
