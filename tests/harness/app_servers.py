"""WSGI servers that are not ours, which fork their workers off one process, and fork them anew."""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import ROOT
from tests.harness import Missing, free_port, listening
from tests.harness.process import Server
from tests.harness.pserve import COVERAGE

GUNICORN = (sys.executable, "-u", "-m", "gunicorn")
# The program, not the module: uWSGI is in C, and has Python in it.
UWSGI = (str(Path(sys.executable).with_name("uwsgi")), "--master", "--need-app")


class AppServer(Server):
    """One of them on 127.0.0.1."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        where = "--http-socket" if command[: len(UWSGI)] == UWSGI else "--bind"
        super().__init__(
            [*command, f"{where}=127.0.0.1:{self.port}"],
            directory / f"{self.port}.log",
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(directory),  # gunicorn has a socket there
                "PYTHONPATH": str(ROOT),
                **COVERAGE,
                **env,
            },
            cwd=directory,
        )

    def ready(self) -> bool:
        return listening(self.port)


def start_app_server(
    command: Sequence[str], *, env: Mapping[str, str], directory: Path
) -> AppServer:
    """The server that `command` starts, which begins with `GUNICORN` or `UWSGI`.

    Its environment is `env` and little else. `--bind` or its like is added.
    """
    for name, program in (("gunicorn", GUNICORN), ("pyuwsgi", UWSGI)):
        if tuple(command[: len(program)]) == program and importlib.util.find_spec(name) is None:
            raise Missing(name, f"pip install {name}")
    if "gevent" in command and importlib.util.find_spec("gevent") is None:
        raise Missing("gevent", "pip install gevent")
    return AppServer(tuple(command), env, directory).start()
