"""examples/shop/: by the commands of its README, from a clean folder; its own tests pass."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness import Missing, free_port
from tests.harness.chromium import find_chromium
from tests.harness.process import Server
from tests.harness.skipping import required

pytestmark = [pytest.mark.all, pytest.mark.servers]

README = (ROOT / "examples" / "shop" / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"(?m)^    (\S.*)$", README)
SESSIONSITE = "import sys; from sessionsite.cli import main; sys.exit(main())"
MADE = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.db*", ".venv", ".pytest_cache")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the example, installed; what it needs is what these tests are run with."""
    folder = tmp_path / "shop"
    shutil.copytree(ROOT / "examples" / "shop", folder, ignore=MADE)
    venv.create(folder / ".venv")
    ours = sysconfig.get_path("purelib")
    there = Path(sysconfig.get_path("purelib", vars={"base": str(folder / ".venv")}))
    (there / "ours.pth").write_text(f"{ours}\n{ROOT}\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / ".venv"), "-q", "install"]
    run([*pip, "--no-deps", "--no-build-isolation", "-e", "."], folder)
    return folder


def as_sqlalchemy_has_it(url: str) -> str:
    return re.sub(r"^\w+(?=:)", "postgresql+psycopg", url)


def run(command: list[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": "", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def scripted(folder: Path, command: str) -> list[str]:
    """A command of the shop's environment, which has no script for what is of ours."""
    name, *args = shlex.split(command)
    name = Path(name).name
    if (script := folder / ".venv" / "bin" / name).exists():
        return [str(script), *args]
    modules = {"pytest": "pytest", "pserve": "pyramid.scripts.pserve", "alembic": "alembic"}
    module = ["-m", modules[name]] if name in modules else ["-c", SESSIONSITE]
    return [str(folder / ".venv" / "bin" / "python"), *module, *args]


class Served(Server):
    def __init__(
        self, command: list[str], folder: Path, port: int, env: Mapping[str, str] | None = None
    ) -> None:
        variables = {**os.environ, **(env or {})}
        super().__init__(command, folder / "pserve.log", cwd=folder, env=variables)
        self.port = port

    def ready(self) -> bool:
        try:
            return "Darjeeling" in self.page()
        except OSError:
            return False

    def page(self) -> str:
        connection = HTTPConnection("localhost", self.port, timeout=15)
        connection.request("GET", "/")
        text = connection.getresponse().read().decode()
        connection.close()
        return text


def test_it_runs_by_its_readme(shop: Path) -> None:
    make, install, initialize, serve, _ = COMMANDS
    assert make == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install -e ../.. -e '.[testing]'"
    run(scripted(shop, initialize), shop)
    run(scripted(shop, initialize), shop)  # safe to repeat
    port = free_port()
    config = shop / "development.ini"
    config.write_text(config.read_text("utf-8").replace(":6543", f":{port}"), "utf-8")
    with Served(scripted(shop, serve), shop, port).start() as server:
        assert "Leaf &amp; Cup" in server.page()


def test_production_ini_runs_by_its_first_lines(shop: Path, postgres_url: str) -> None:
    config, port = shop / "production.ini", free_port()
    text = config.read_text("utf-8")
    *commands, serve = re.findall(r"(?m)^#   (\S.*production\.ini)$", text)
    config.write_text(text.replace(":6543", f":{port}"), "utf-8")
    secret = run(scripted(shop, "sessionsite generate-secret"), shop).strip()
    env = {"DATABASE_URL": as_sqlalchemy_has_it(postgres_url), "SESSION_SECRET": secret}
    for command in commands:
        run(scripted(shop, command), shop, env)
    with Served(scripted(shop, serve), shop, port, env).start() as server:
        assert "Leaf &amp; Cup" in server.page()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_its_tests_pass(shop: Path, database: str, request: pytest.FixtureRequest) -> None:
    with required():
        if find_chromium() is None:
            raise Missing("Chromium", "apt install chromium")
    env, args = {}, []
    if database == "postgresql":
        args = ["-k", "not each_page"]  # how they look is the same
        url: str = request.getfixturevalue("postgres_url")
        env["SHOP_TEST_URL"] = as_sqlalchemy_has_it(url)
    told = run(scripted(shop, COMMANDS[-1]) + args, shop, env)
    assert int(re.findall(r"(\d+) passed", told)[0]) >= 49
    assert "skipped" not in told


def test_its_migrations_make_its_tables(shop: Path) -> None:
    """`alembic check` finds nothing to add, and leaves the tables of the sessions alone."""
    text = (shop / "development.ini").read_text("utf-8").replace("sessions.db", "shop.db")
    (shop / "development.ini").write_text(text, "utf-8")
    run(scripted(shop, "initialize_shop_db development.ini"), shop)
    told = run(scripted(shop, "alembic -c development.ini check"), shop)
    assert "No new upgrade operations detected" in told
