"""docs/in-your-app.md, followed word for word, in a fresh environment with an app of its own."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import ROOT
from tests.docs.blocks import Block, take, write
from tests.docs.starter import lay_out
from tests.harness import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import Server

pytestmark = [pytest.mark.all, pytest.mark.servers]

BLOCKS = take("in-your-app.md")


class App(Server):
    """The app, as the page starts it."""

    def __init__(self, command: str, shell: "Shell", port: int) -> None:
        self.url = f"http://localhost:{port}"
        words = [str(shell.bin / "python"), "-u", str(shell.bin / command.split()[0])]
        super().__init__(
            [*words, *command.split()[1:]],
            shell.folder / "server.log",
            cwd=shell.folder,
            env=shell.env,
        )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        try:
            return bool(self.get("/"))
        except OSError:
            return False


class Shell:
    """What a reader has: a folder with the app, and its virtual environment, active."""

    def __init__(self, folder: Path, links: Path) -> None:
        self.folder, self.bin = folder, folder / ".venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
        wheels = f"{links} {os.environ.get('PIP_FIND_LINKS', '')}"
        self.env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(folder),
            **{name: text for name, text in os.environ.items() if name.startswith("PIP_")},
            "PIP_FIND_LINKS": wheels.strip(),
            "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, command: str) -> str:
        """Run lines of the page; what they export is there for the next ones."""
        script = f"set -eu\n{command}\nenv -0 > .env"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        lines = (self.folder / ".env").read_text("utf-8").split("\0")
        self.env = dict(line.split("=", 1) for line in lines if line)
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "sessionsite", source / "sessionsite")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    (tmp_path / "app").mkdir()
    shell = Shell(tmp_path / "app", tmp_path / "links")
    shell.run(f"pip wheel -q --no-deps -w {tmp_path / 'links'} {source}")
    lay_out(shell.folder)
    return shell


def test_the_page_can_be_followed_word_for_word(shell: Shell, postgres: Postgres) -> None:
    shell.run("pip install -q -e '.[testing]'")
    assert "4 passed" in shell.run("pytest -q")
    url = postgres.create_database("app").replace("+psycopg", "")
    secret, port = "", free_port()
    config = shell.folder / "development.ini"
    config.write_text(config.read_text("utf-8").replace("localhost:6543", f"localhost:{port}"))
    for block in BLOCKS:
        if block.file:
            path = write(block, shell.folder)
            path.write_text(path.read_text("utf-8").replace("GENERATED", secret), "utf-8")
        elif block.code.startswith("pserve"):
            with App(block.code.strip(), shell, port).start() as app:
                assert "Pyramid" in app.get("/")
                secure, toolbar = re.findall(r"WARNI .*", app.output())
                assert "session.secure = false" in secure
                assert "pyramid_debugtoolbar" in toolbar
        else:
            said = shell.run(re.sub(r"postgresql://[^\"]*", url, block.code))
            secret = said.strip() if "generate-secret\n" in block.code else secret
            if block.code.startswith("pytest"):
                assert "7 passed" in said  # the page's three beside the app's own four


def test_each_step_is_on_the_page_once() -> None:
    def commands(block: Block) -> list[str]:
        return block.code.splitlines() if block.language == "sh" else []

    lines = [line for block in BLOCKS for line in commands(block)]
    assert "sessionsite init-db development.ini" in lines
    assert {block.file for block in BLOCKS} >= {"development.ini", "testing.ini", "production.ini"}
