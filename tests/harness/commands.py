"""The `sessionsite` command, run in the test's own process."""

import sysconfig
from collections.abc import Callable
from pathlib import Path

from tests import ROOT

PRODUCTION = str(ROOT / "production.ini")
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "sessionsite")
Run = Callable[..., tuple[int, str, str]]
"""Runs a command line; returns its exit status, stdout and stderr."""


def one_line(stderr: str) -> str:
    """What a failed command prints: one line, which begins with the command's name."""
    (line,) = stderr.splitlines()
    assert line.startswith("sessionsite: ")
    return line
