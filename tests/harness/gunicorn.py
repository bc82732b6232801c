"""gunicorn, which forks its workers off one process, and forks them anew."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import ROOT
from tests.harness import Missing, free_port, listening
from tests.harness.process import Server


class Gunicorn(Server):
    """One gunicorn on 127.0.0.1."""

    def __init__(self, app: str, args: Sequence[str], env: dict[str, str], directory: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-u", "-m", "gunicorn", app, f"--bind=127.0.0.1:{self.port}"]
        super().__init__(
            [*command, *args],
            directory / f"gunicorn-{self.port}.log",
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), **env},
            cwd=directory,
        )

    def ready(self) -> bool:
        return listening(self.port)


def start_gunicorn(
    app: str, *, args: Sequence[str], env: dict[str, str], directory: Path
) -> Gunicorn:
    """A gunicorn of the app that `MODULE:CALL` names; its environment is `env` and little else."""
    if importlib.util.find_spec("gunicorn") is None:
        raise Missing("gunicorn", "pip install gunicorn")
    return Gunicorn(app, args, env, directory).start()
