"""Which Python the servers run on: the fastest build at hand of the version that runs this.

Node is always an optimized build. A Python that was compiled with profile-guided optimization, as
Debian's is, answers a tenth more requests than the same version compiled without, as pyenv does
unless told otherwise.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.cli import output

ROUNDS = 3
WORTH = 1.05  # times as fast as ours: nothing else is a reason for another
# Half a second of what servers do: calls, dicts, strings, JSON, regular expressions.
WORK = """
import json, re, time
class Thing:
    def __init__(self, number): self.number, self.text = number, f"/page/{number}"
    def shown(self): return self.text.upper().replace("A", "b") + str(self.number)
def once():
    things = {number: Thing(number) for number in range(40)}
    shown = [things[number].shown() for number in sorted(things, reverse=True)]
    again = json.loads(json.dumps({"history": shown}))["history"]
    return sum(len(re.sub("[^a-z]", "-", text)) for text in again)
start = time.process_time()
for _ in range(4000): once()
print(time.process_time() - start)
"""


@cache
def fastest() -> tuple[Path, str]:
    """Return the Python to make virtual environments with, and in words which that is."""
    own = Path(sys.executable)
    found = [own, *_others(own)]
    rounds = [[_seconds(python) for python in found] for _ in range(ROUNDS)]
    seconds = dict(zip(found, map(min, zip(*rounds, strict=True)), strict=True))
    best = min(found, key=seconds.__getitem__)
    times = seconds[own] / seconds[best]
    if times < WORTH:
        return own, f"{_build(own)}: no other build of its version at hand is faster"
    return best, (
        f"{_build(best)}: in a short loop {times:.2f} times as fast as the build that runs "
        f"the benchmark, {_build(own)}"
    )


def _others(own: Path) -> Sequence[Path]:
    """The programs on the PATH that are another build of the version of `own`, once each."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    known = {_home(own, version)}
    others = []
    for folder in os.get_exec_path():
        path = shutil.which(f"python{version}", path=folder)
        home = _home(Path(path), version) if path else None
        if path and home and home not in known:
            known.add(home)
            others.append(Path(path))
    return others


def _home(python: Path, version: str) -> str | None:
    """Where `python` is installed; None if it does not work, or is of another version."""
    code = "import ssl, sys, venv; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"
    found = _output(python, code).partition(" ")
    return found[2] if found[0] == version else None


def _build(python: Path) -> str:
    return _output(python, "import sys; print(' '.join(sys.version.split()))")


def _seconds(python: Path) -> float:
    return float(_output(python, WORK) or "inf")


def _output(python: Path, code: str) -> str:
    """What `code` prints; nothing if this Python can't run it."""
    try:
        return output([python, "-I", "-c", code]).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
