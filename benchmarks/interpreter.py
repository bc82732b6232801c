"""Which Python the servers run on: the fastest build at hand of the version that runs this.

Node is always an optimized build. A Python that was compiled with profile-guided optimization, as
Debian's is, answers a tenth more requests than the same version compiled without, as pyenv does
unless told otherwise.
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.cli import output

ROUNDS = 3
WORTH = 1.05  # times as fast as ours: nothing else is a reason for another
WHAT = "import ssl, sys, venv; print(sys.base_prefix); print(' '.join(sys.version.split()))"
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
    """Return the Python to make virtual environments with, and a description of it."""
    own = Path(sys.executable)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    builds: dict[str, tuple[Path, str]] = {}  # by where they are installed
    for path in [str(own), *(shutil.which(name, path=folder) for folder in os.get_exec_path())]:
        if path and (said := _output(Path(path), WHAT).splitlines()):
            builds.setdefault(said[0], (Path(path), said[1]))
    if len(builds) == 1:
        return own, f"{builds.popitem()[1][1]}: no other build of its version is at hand"
    seconds = {path: min(_seconds(path) for _ in range(ROUNDS)) for path, _ in builds.values()}
    build = dict(builds.values())
    best = min(seconds, key=seconds.__getitem__)
    times = seconds[own] / seconds[best]
    if times < WORTH:
        return own, f"{build[own]}: no other build of its version at hand is faster"
    return best, (
        f"{build[best]}: in a short loop {times:.2f} times as fast as the build that runs "
        f"the benchmark, {build[own]}"
    )


def _seconds(python: Path) -> float:
    return float(_output(python, WORK) or "inf")


def _output(python: Path, code: str) -> str:
    """What `code` prints; nothing if this Python can't run it."""
    try:
        return output([python, "-I", "-c", code]).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
