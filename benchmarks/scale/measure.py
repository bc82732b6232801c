"""The site under load on this machine, and what each part of it has used."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.peers.stacks import STACKS
from benchmarks.peers.stores import Stores
from benchmarks.speed import check
from benchmarks.speed.load import cpu_seconds, load
from benchmarks.store.rows import WAL, numbers

STACK = STACKS["sessionsite"]
CORES = len(os.sched_getaffinity(0))
WORK = "import json\nwhile True: json.loads(json.dumps(list(range(1000))))"


@dataclass(frozen=True)
class Seen:
    """One slice of time under load. All CPU is user and system time."""

    rate: float
    """Pages per second."""
    p50: float
    """Milliseconds."""
    server: float
    """Microseconds of CPU per page: of all processes of the site."""
    database: float
    """The same, of PostgreSQL."""
    client: float
    """The same, of wrk."""
    wal: float
    """Bytes of write-ahead log per page."""
    others: float
    """How many cores were busy with what is none of these."""


def busy() -> float:
    """Seconds that the machine's cores have worked since it was started, for anyone."""
    spent: Any = psutil.cpu_times()
    idle: float = spent.idle + spent.iowait + spent.guest + spent.guest_nice  # the last two: twice
    return float(sum(spent) - idle)


def children() -> float:
    """Seconds of CPU that ended child processes of ours have used: wrk is one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Sites:
    """The site with so many processes, each on a core of its own, on one PostgreSQL."""

    def __init__(self, stores: Stores, directory: Path, processes: int, exits: ExitStack) -> None:
        self._stores, self._directory = stores, directory
        self._url = stores.url(STACK)
        started = [STACK.start(self._url, directory, core=number) for number in range(processes)]
        for site in started:
            exits.enter_context(site)
        self._ports, self._pids = [site.port for site in started], [site.pid for site in started]
        check.check_sessions(self._ports)

    def visited(self, visitors: int, seconds: int) -> Seen:
        """Load it by so many visitors, each of whom asks again as soon as they are answered."""
        file = self._directory / "cookies"
        browsers = check.visitors(self._ports[0], visitors)
        file.write_text("".join(f"{browser.cookie}\n" for browser in browsers))
        load(self._ports, file, 1)  # until each thread has its connection, and its plans
        self._stores.checkpoint()
        before, started = self._used(), time.perf_counter()
        seen = load(self._ports, file, seconds)
        passed = time.perf_counter() - started
        server, database, client, wal, all_ = (
            now - then for now, then in zip(self._used(), before, strict=True)
        )
        if seen.errors or not seen.requests:
            raise check.NotWorking(f"under load: {seen}")
        ours = server + database + client
        return Seen(
            rate=seen.requests / seen.duration * 1e6,
            p50=seen.p50 / 1e3,
            server=server / seen.requests * 1e6,
            database=database / seen.requests * 1e6,
            client=client / seen.requests * 1e6,
            wal=wal / seen.requests,
            others=max(0.0, all_ - ours) / passed,
        )

    def _used(self) -> tuple[float, ...]:
        wal = numbers(self._url, WAL)[0]
        return (
            cpu_seconds(self._pids),
            cpu_seconds([self._stores.postgres.pid]),
            children(),
            wal,
            busy(),
        )


class Idle:
    """Has what is measured wait until nothing else works on this machine, for so long in all."""

    LIMIT = 0.3  # cores that others may use meanwhile

    def __init__(self, patience: float) -> None:
        self._deadline = time.monotonic() + patience
        self.repeated = 0

    def seen(self, measure: Callable[[], Seen]) -> Seen:
        """What was measured, anew where others were busy; patience over, as it is."""
        while True:
            self._wait()
            found = measure()
            if found.others <= self.LIMIT or time.monotonic() > self._deadline:
                return found
            self.repeated += 1

    def _wait(self) -> None:
        while time.monotonic() < self._deadline:
            before, started = busy(), time.monotonic()
            time.sleep(0.5)
            if (busy() - before) / (time.monotonic() - started) < self.LIMIT:
                return


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Have the last core work on something else."""
    core = sorted(os.sched_getaffinity(0))[-1]
    neighbour = subprocess.Popen([sys.executable, "-c", WORK])  # noqa: S603  # ours
    os.sched_setaffinity(neighbour.pid, {core})
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()
