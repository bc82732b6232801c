"""Load, and what it costs: wrk, and what /proc says of processes."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE

from tests.harness.process import family

SCRIPT = Path(__file__).parent / "visit.lua"
TICKS = os.sysconf("SC_CLK_TCK")


class LoadError(Exception):
    """wrk has failed."""


@dataclass(slots=True)
class Load:
    """What wrk saw: of one wrk, or of several at once."""

    requests: int = 0
    seconds: float = 0
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
    """Load all `ports` at once, one connection per line of its file of cookies."""
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
    figures = {name: int(n) for name, n in re.findall(r"^([a-z]{2,}) (\d+)$", output, re.M)}
    for latency, count in re.findall(r"^l (\d+) (\d+)$", output, re.M):
        total.latencies[int(latency)] += int(count)
    total.requests += figures["requests"]
    total.errors += figures["errors"]
    total.seconds = max(total.seconds, figures["microseconds"] / 1e6)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes and their descendants, those that have ended included."""
    ticks = 0
    for pid in [member for root in pids for member in family(root)]:
        with suppress(OSError):  # ended while we looked; its parent has the time
            stat = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(word) for word in stat[11:15])  # utime stime cutime cstime
    return ticks / TICKS


def machine_seconds() -> float:
    """How long all processors have been busy so far, with any process; seconds."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, *rest = (int(word) for word in words)
    return (user + nice + system + sum(rest)) / TICKS


def peak_memory(pids: Iterable[int]) -> int:
    """The most that the processes, descendants included, have had in memory; bytes."""
    kib = 0
    for pid in [member for root in pids for member in family(root)]:
        with suppress(OSError):
            status = Path("/proc", str(pid), "status").read_text()
            kib += sum(map(int, re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M)))
    return kib * 1024
