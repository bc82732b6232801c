"""Load by wrk, and what processes have used."""

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.peers.install import program

SCRIPT = Path(__file__).parent / "visit.lua"


@dataclass(frozen=True)
class Load:
    """What wrk saw. Times are in microseconds."""

    requests: int
    duration: int
    errors: int
    p50: int
    p99: int


def load(ports: Sequence[int], cookies: Path, seconds: float) -> Load:
    """Load all `ports` at once, one connection for each line of the file of cookies."""
    connections = len(cookies.read_text().splitlines())
    command = [program("wrk", "wrk"), f"-t{connections}", f"-c{connections}", f"-d{seconds}s"]
    command += ["--timeout", "10s", "-s", str(SCRIPT), f"http://127.0.0.1:{ports[0]}", "--"]
    command += [str(cookies), *map(str, ports)]
    output = subprocess.check_output(command, text=True)  # noqa: S603  # ours
    return Load(**json.loads(output.splitlines()[-1]))


def processes(pids: Sequence[int]) -> list[psutil.Process]:
    """The processes and all their descendants."""
    roots = [psutil.Process(pid) for pid in pids]
    return [each for root in roots for each in (root, *root.children(recursive=True))]


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of processes and descendants, those that ended included."""
    seconds = 0.0
    for process in processes(pids):
        with suppress(psutil.Error):  # ended while we looked; its parent has the time
            seconds += sum(process.cpu_times()[:4])  # its own, and that of children that ended
    return seconds


def peak_memory(pids: Sequence[int]) -> float:
    """The most that the processes, descendants included, have had in memory; MiB."""
    status = [Path(f"/proc/{each.pid}/status").read_text() for each in processes(pids)]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) / 1024 for text in status)
