"""What a soak may not leave behind: memory, files and threads of processes, backends, locks."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil

INTERVAL = 1.0  # seconds between two samples
OLD = 120.0  # seconds that a process must have lived before its memory is judged
POOL = 5  # connections of one process
MEBIBYTE = 2**20
MOST_GROWTH = 8.0  # MiB, from its second fifth to its last
BACKENDS = """
SELECT pid, state FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
LOCKS = """
SELECT locktype, mode, count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE pid <> pg_backend_pid() AND locktype <> 'virtualxid'
  AND datname = current_database() AND backend_type = 'client backend'
  AND database = datid
GROUP BY locktype, mode
"""


@dataclass(frozen=True)
class Usage:
    """What one process has at one time."""

    when: float
    memory: float
    """Resident, in MiB."""
    files: int
    threads: int


@dataclass
class Quiet:
    """What is there when no request is under way; the processes from their first sample on."""

    backends: list[tuple[int, str]] = field(default_factory=list)
    locks: list[tuple[str, str, int]] = field(default_factory=list)
    processes: dict[int, list[Usage]] = field(default_factory=dict)
    expired: int = 0
    left: list[tuple[int, str]] = field(default_factory=list)
    """Backends once all processes have ended."""


def leaks(quiet: Quiet) -> list[str]:
    """What of it should not be there."""
    found = []
    most = POOL * len(quiet.processes)
    if len(quiet.backends) > most:
        found.append(f"{len(quiet.backends)} backends, more than {most} of the pools")
    found += [f"backend {pid} is {state}" for pid, state in quiet.backends if state != "idle"]
    found += [f"{count} locks {mode} on {what} are held" for what, mode, count in quiet.locks]
    found += [f"backend {pid} has outlived its process ({state})" for pid, state in quiet.left]
    if quiet.expired:
        found.append(f"{quiet.expired} expired rows were not pruned")
    for pid, samples in quiet.processes.items():
        found += _leaks_of(pid, samples)
    return found


def _leaks_of(pid: int, samples: Sequence[Usage]) -> list[str]:
    found = []
    first, last = samples[0], samples[-1]
    if last.files > first.files + POOL + 2:
        found.append(f"process {pid} has {last.files} files open, {first.files} at its start")
    if last.threads > first.threads + 2:  # the pruner's among them
        found.append(f"process {pid} has {last.threads} threads, {first.threads} at its start")
    growth = grown(samples)
    if growth is not None and growth > MOST_GROWTH:
        found.append(f"process {pid} has grown by {growth:.1f} MiB")
    return found


def grown(samples: Sequence[Usage]) -> float | None:
    """By how many MiB a process has grown since it was warm; None: it is too young to tell."""
    if len(samples) < 10 or samples[-1].when - samples[0].when < OLD:
        return None
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return statistics.median(s.memory for s in late) - statistics.median(s.memory for s in early)


class Watch:
    """Samples the processes of a deployment until it is told to stop."""

    def __init__(self, sample: Callable[[], None]) -> None:
        self._sample = sample
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._sample()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def usage_of(pid: int) -> Usage:
    process = psutil.Process(pid)
    with process.oneshot():
        memory = process.memory_info().rss / MEBIBYTE
        return Usage(time.monotonic(), memory, process.num_fds(), process.num_threads())
