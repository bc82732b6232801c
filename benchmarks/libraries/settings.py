"""Settings read strictly: ours, and pydantic's."""

import json
import subprocess
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.libraries.compare import Row, compare, from_pairs
from benchmarks.peers.install import ROOT
from sessionsite.settings import site_settings

GIVEN = {
    "sessionsite.history_limit": "20",
    "sessionsite.history_bytes": "2400",
    "sessionsite.contact": "webmaster@localhost",
    "sessionsite.error_page": "true",
    "sessionsite.hsts": "31536000",
}
PREFIX = "sessionsite."
# The module alone: what imports it in the project has pyramid loaded anyway.
OURS = f"sys.path.insert(0, {str(ROOT / 'sessionsite' / 'sessions')!r}); import ini"
THEIRS = "import pydantic_settings"
COST = """
import json, sys, time
import dataclasses, difflib, os, re, typing  # which a site has loaded before
def used(): return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
memory, start = used(), time.process_time()
{}
print(json.dumps([(time.process_time() - start) * 1000, (used() - memory) / 2**20]))
"""


class Site(BaseModel):
    """What `site_settings` reads, as far as pydantic has it: no `none`, no sentence of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    history_limit: int = Field(20, ge=1)
    history_bytes: int | None = Field(2400, ge=2)
    contact: str = ""
    allowed_hosts: tuple[str, ...] = ()
    error_page: bool = True
    hsts: int | None = Field(None, ge=1)


def cost(code: str) -> list[float]:
    """Milliseconds of CPU and MiB that an import takes, in a process of its own."""
    command = [sys.executable, "-I", "-c", COST.format(code)]
    found = subprocess.check_output(command, text=True)  # noqa: S603  # ours
    return list(json.loads(found))


def theirs() -> Any:
    values = {key.removeprefix(PREFIX): value for key, value in GIVEN.items()}
    return Site(**values)  # type: ignore[arg-type]  # texts, which it converts


def rows(rounds: int, seconds: float) -> list[Row]:
    pairs = [(cost(OURS), cost(THEIRS)) for _ in range(rounds)]
    library = "pydantic-settings"
    # nothing at all would be no divisor
    time, memory = ([(max(own[i], 0.1), other[i]) for own, other in pairs] for i in range(2))
    return [
        from_pairs("the settings reader: its import", library, "ms", time),
        from_pairs("the settings reader: memory of its import", library, "MiB", memory),
        compare(
            "the settings reader: five keys read",
            "pydantic",
            lambda: site_settings(GIVEN),
            theirs,
            rounds,
            seconds,
        ),
    ]
