"""docs/in-your-app.md, followed word for word, in a fresh environment with an app of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.docs.blocks import take, write
from tests.docs.shell import App, Shell
from tests.docs.starter import lay_out
from tests.harness import free_port
from tests.harness.postgres import Postgres
from tests.release.building import build_copy

pytestmark = [pytest.mark.all, pytest.mark.servers]

BLOCKS = take("in-your-app.md")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = build_copy(tmp_path)
    (tmp_path / "app").mkdir()
    folder = tmp_path / "app"
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    shell = Shell(
        folder,
        folder / ".venv" / "bin",
        **{name: text for name, text in os.environ.items() if name.startswith("PIP_")},
        PIP_CONSTRAINT=str(ROOT / "constraints.txt"),
    )
    wheels = f"{made.wheel.parent} {os.environ.get('PIP_FIND_LINKS', '')}"
    shell.env = {**shell.env, "PIP_FIND_LINKS": wheels.strip()}
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
