"""The site as its users start it: `pserve`, in a process of its own."""

import http.client
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import ROOT
from tests.harness import free_port
from tests.harness.process import Server

DEFAULT_PORT = 6543
# So that `make coverage` sees what these processes run.
COVERAGE = {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}


class Section:
    """The server sections of production.ini; `name` is the one that tests start just now.

    The fixture `each_server` has a test run on both.
    """

    WAITRESS = "worker"
    GRANIAN = "granian"
    name = WAITRESS


def worker_args(port: int, section: str | None = None) -> list[str]:
    """What has pserve start a further process at that port, of that section or `Section.name`."""
    return [f"--server-name={section or Section.name}", f"http_port={port}"]


class Pserve(Server):
    """One `pserve` process on 127.0.0.1."""

    def __init__(
        self, config: Path, args: Sequence[str], env: Mapping[str, str], directory: Path
    ) -> None:
        variables = [arg for arg in args if not arg.startswith("-")]
        options = [arg for arg in args if arg.startswith("-")]
        ports = [arg.partition("=")[2] for arg in variables if arg.startswith("http_port=")]
        self.port = int(ports[-1]) if ports else DEFAULT_PORT
        self.url = f"http://127.0.0.1:{self.port}"
        # -u: what it printed is there to read even if it is killed.
        command = [sys.executable, "-u", "-m", "pyramid.scripts.pserve"]
        command += [*options, str(config.resolve()), *variables]  # pserve wants them in this order
        super().__init__(
            command,
            directory / f"pserve-{self.port}.log",
            env={"PATH": os.environ.get("PATH", os.defpath), **COVERAGE, **env},
            cwd=directory,
        )

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


def start_pserve(
    config: Path, *, env: Mapping[str, str], args: Sequence[str] = (), directory: Path
) -> Pserve:
    """A `pserve CONFIG` that answers `/healthz`, be it with an error.

    Its environment is `env` and PATH, nothing else of ours but coverage's. `args` are options with
    their value in the same word (`--server-name=worker`) and variables; `http_port=N` among these
    says where it listens, otherwise 6543. It runs in `directory`, where its log is.
    """
    return Pserve(config, args, env, directory).start()


def start_development(directory: Path) -> Pserve:
    """A `pserve` of development.ini, copied into `directory`, at a port of its own."""
    port = free_port()
    text = (ROOT / "development.ini").read_text("utf-8")
    config = directory / "development.ini"
    config.write_text(text.replace("localhost:6543", f"127.0.0.1:{port}"), "utf-8")
    return start_pserve(config, env={}, args=[f"http_port={port}"], directory=directory)
