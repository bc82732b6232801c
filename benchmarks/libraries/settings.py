"""Settings read strictly: ours, and pydantic's."""

import subprocess
import sys
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from benchmarks import ROOT
from benchmarks.libraries import Piece
from sessionsite.settings import site_settings

PREFIX = "sessionsite."
GIVEN = {
    "history_limit": "20",
    "history_bytes": "2400",
    "contact": "webmaster@localhost",
    "error_page": "true",
    "hsts": "31536000",
}
OURS = {f"{PREFIX}{key}": value for key, value in GIVEN.items()}
# The module alone: what imports it in the project has pyramid loaded anyway.
IMPORTS = (
    f"sys.path.insert(0, {str(ROOT / 'sessionsite' / 'sessions')!r}); import ini",
    "import pydantic_settings",
)
COST = """
import sys, time
import dataclasses, difflib, os, re, typing, pyramid.path  # which a site has loaded before
start = time.process_time()
{}
print((time.process_time() - start) * 1000)
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


def imports() -> list[float]:
    """Milliseconds of CPU that our reader's import takes, and the library's, in new processes."""
    commands = [[sys.executable, "-I", "-c", COST.format(code)] for code in IMPORTS]
    return [float(subprocess.check_output(command)) for command in commands]  # noqa: S603  # ours


def theirs() -> Any:
    values = {key.removeprefix(PREFIX): value for key, value in OURS.items()}
    return Site(**values)  # type: ignore[arg-type]  # texts, which it converts


def pieces() -> list[Piece]:
    return [("five settings read", "pydantic", lambda: site_settings(OURS), theirs)]
