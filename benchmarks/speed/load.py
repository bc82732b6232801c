"""Load, and what it costs: wrk, /proc, and the stores' own counts."""

import os
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE

from benchmarks.check import PATHS, Visitor
from tests.servers.postgres import Postgres
from tests.servers.process import family
from tests.servers.redis import Redis

SCRIPT = Path(__file__).parent / "visit.lua"
TICKS = os.sysconf("SC_CLK_TCK")


class LoadError(Exception):
    """wrk could not do its work."""


@dataclass(slots=True)
class Load:
    """What wrk saw: of one wrk, or of several at once."""

    requests: int = 0
    seconds: float = 0
    bytes: int = 0
    errors: int = 0
    cpu: float = 0
    """Seconds that wrk itself used."""
    latencies: "Counter[int]" = field(default_factory=Counter)
    """How often each latency was seen, in microseconds."""

    def percentile(self, share: float) -> float:
        """The latency that `share` of the requests did not exceed."""
        wanted = share * self.latencies.total()
        seen = 0
        for latency in sorted(self.latencies):
            seen += self.latencies[latency]
            if seen >= wanted:
                return latency
        return 0.0


def load(wrk: str, ports: Sequence[int], cookie_files: Sequence[Path], seconds: float) -> Load:
    """Load all `ports` at once, one connection for each line of its file of cookies."""
    running = []
    before = os.times()
    try:
        for port, cookies in zip(ports, cookie_files, strict=True):
            connections = len(cookies.read_text().splitlines())
            command = [wrk, f"-t{connections}", f"-c{connections}", f"-d{seconds:g}s"]
            command += ["--timeout", "10s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}"]
            command += ["--", str(cookies)]
            running.append(subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True))  # noqa: S603  # ours
        outputs = [process.communicate(timeout=seconds + 60) for process in running]
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    total = Load()
    for process, (output, error) in zip(running, outputs, strict=True):
        if process.returncode or "microseconds" not in output:
            raise LoadError(f"wrk ended with {process.returncode}: {error or output}")
        _add(total, output)
    after = os.times()
    total.cpu = sum(after[2:4]) - sum(before[2:4])  # of children that have ended
    return total


def _add(total: Load, output: str) -> None:
    figures: dict[str, int] = {}
    for line in output.splitlines():
        words = line.split()
        if words and words[0] == "l":
            total.latencies[int(words[1])] += int(words[2])
        elif len(words) == 2 and words[1].isdecimal():
            figures[words[0]] = int(words[1])
    total.requests += figures["requests"]
    total.bytes += figures["bytes"]
    total.errors += figures["errors"]
    total.seconds = max(total.seconds, figures["microseconds"] / 1e6)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes and all their descendants, those that ended included."""
    ticks = 0
    for root in pids:
        for pid in family(root):
            with suppress(OSError):  # ended while we looked; its parent has the time
                stat = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(word) for word in stat[11:15])  # utime stime cutime cstime
    return ticks / TICKS


def machine_seconds() -> float:
    """What all processors have been busy with so far, for whomever; seconds."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, *rest = (int(word) for word in words)
    return (user + nice + system + sum(rest)) / TICKS


def peak_memory(pids: Iterable[int]) -> int:
    """The most that the processes, descendants included, have had in memory; bytes."""
    kib = 0
    for root in pids:
        for pid in family(root):
            with suppress(OSError):
                status = Path("/proc", str(pid), "status").read_text()
                if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
                    kib += int(found[1])
    return kib * 1024


def visit_in_turn(port: int, cookies: Sequence[str], count: int) -> None:
    """`count` visits, one after the other."""
    visitors = [Visitor(port, cookie) for cookie in cookies]
    for number in range(count):
        visitors[number % len(visitors)].visit(PATHS[number // len(visitors) % len(PATHS)])
    for visitor in visitors:
        visitor.close()


class StatementLog:
    """PostgreSQL's log of every statement while the block runs; too slow to be timed meanwhile."""

    _LINE = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)")

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self.kinds: Counter[str] = Counter()

    def __enter__(self) -> "StatementLog":
        self._set("ALTER SYSTEM SET log_statement = 'all'")
        self._start = self._postgres.log.stat().st_size
        return self

    def __exit__(self, *exc_info: object) -> None:
        time.sleep(0.2)  # for what is being written
        with self._postgres.log.open("rb") as log:
            log.seek(self._start)
            text = log.read().decode(errors="replace")
        self.kinds.update(word.upper() for word in self._LINE.findall(text))
        self._set("ALTER SYSTEM RESET log_statement")

    def _set(self, statement: str) -> None:
        with self._postgres.connect() as connection:
            connection.execute(statement.encode())
            connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)  # until each backend has heard of it


class RedisCommands:
    """What Redis counts of its commands while the block runs."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.kinds: Counter[str] = Counter()

    def __enter__(self) -> "RedisCommands":
        self._before = self._counts()
        return self

    def __exit__(self, *exc_info: object) -> None:
        counts = self._counts()
        counts.subtract(self._before)
        del counts["INFO"]
        self.kinds = +counts

    def _counts(self) -> "Counter[str]":
        with socket.create_connection(("127.0.0.1", self._redis.port), timeout=10) as connection:
            connection.sendall(b"INFO commandstats\r\nQUIT\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        found = re.findall(r"cmdstat_([\w|]+):calls=(\d+)", text)
        return Counter({name.upper(): int(calls) for name, calls in found if name != "quit"})
