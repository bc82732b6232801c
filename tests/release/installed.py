"""The wheel in a virtual environment of its own, used as someone would who has no checkout."""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import ROOT
from tests.harness import free_port
from tests.harness.production import HOSTS, SECRET, Browser
from tests.harness.pserve import Pserve, Section, worker_args


class Installed:
    """A new environment, which has the wheel with what it requires, and no pip."""

    def __init__(self, wheel: Path, directory: Path) -> None:
        venv.create(directory / "venv", symlinks=True)
        self.bin = directory / "venv" / "bin"
        self.python = self.bin / "python"
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q"]
        subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)

    def run(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
        """Run one of its commands, and return what it prints. Raises `CalledProcessError`."""
        path = {"PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=cwd,
            env={**path, **(env or {})},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def pserve(self, config: Path, args: Sequence[str], env: Mapping[str, str]) -> Pserve:
        """A site on its Python, not started yet, in the folder of `config`."""
        server = Pserve(config, args, env, config.parent)
        server.command[0] = str(self.python)
        return server


def walk(url: str) -> None:
    """Visit two pages, the second of which lists both."""
    browser = Browser(url)
    assert browser.get("/").history == [f"{url}/"]
    assert browser.get("/about?a=b").history == [f"{url}/about?a=b", f"{url}/"]


def try_development(installed: Installed, directory: Path) -> None:
    """Lay out the site's files as `directory`/site, and walk through it on development.ini."""
    said = installed.run("sessionsite", "new", "site", cwd=directory)
    assert "pserve development.ini" in said
    config = directory / "site" / "development.ini"
    port = free_port()
    text = config.read_text("utf-8")
    assert "localhost:6543" in text
    config.write_text(text.replace("localhost:6543", f"127.0.0.1:{port}"), "utf-8")
    with installed.pserve(config, [f"http_port={port}"], {}).start() as server:
        walk(server.url)


def try_production(installed: Installed, directory: Path, database: str) -> None:
    """Walk through the site on production.ini, in the folder that `sessionsite new` has made."""
    config = directory / "site" / "production.ini"
    env = {"DATABASE_URL": database, "SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS}
    installed.run("sessionsite", "init-db", config.name, cwd=config.parent, env=env)
    with installed.pserve(
        config, worker_args(free_port(), Section.WAITRESS), env
    ).start() as server:
        walk(server.url)
