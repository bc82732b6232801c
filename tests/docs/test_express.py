"""docs/coming-from-express.md, walked from its first step to its last."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg import sql
from pyramid.config import Configurator
from webtest import TestApp

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from tests import ROOT
from tests.docs.blocks import Block, blocks, edited, take
from tests.docs.shell import App, Shell, commands, is_like
from tests.harness import Missing, free_port
from tests.harness.postgres import Postgres
from tests.harness.skipping import required

PAGE = "coming-from-express.md"
WALK = [*take(PAGE, language="console"), *take(PAGE, language="ini")]
EXAMPLE, VISITS, INCLUDE = take(PAGE, "Step 3: store and show the history", "python")
(TEMPLATE,) = take(PAGE, language="jinja")
SECRET = "a-secret-for-tests-that-is-long-enough"
PASSWORD = "typed at the terminal"


class Walk:
    """A reader who has come so far: the files, the terminal, and the servers that run."""

    def __init__(self, folder: Path, servers: ExitStack, postgres: Postgres) -> None:
        self._shell = Shell(folder)
        self._servers = servers
        self.running: App | None = None
        self._replaced = {"6543": str(free_port()), "6544": str(free_port())}
        self._postgres = postgres
        for name in ("development.ini", "production.ini"):
            (folder / name).write_text(self._here((ROOT / name).read_text("utf-8")), "utf-8")

    def _here(self, text: str) -> str:
        """With the ports and the database of this machine."""
        where = f"{self._postgres.host}:{self._postgres.port}"
        text = text.replace("app@localhost:5432", f"app@{where}")
        text = text.replace("PGHOST=localhost", f"PGPORT={self._postgres.port} PGHOST=127.0.0.1")
        for port, other in self._replaced.items():
            text = text.replace(port, other)
        return text

    def take(self, block: Block) -> None:
        if block.language == "console":
            for command, expected in commands(self._here(block.code)):
                self._run(command, expected)
        elif "${SESSION_SECRET}" in block.code:  # step 5 has them in a file of one's own
            text = (self._shell.folder / "development.ini").read_text("utf-8")
            text = re.sub(r"(?m)^sessionsite\.(session_factory|secret_file) = .*\n", "", text)
            (self._shell.folder / "walk.ini").write_text(edited(text, block), "utf-8")
        else:
            name = "development.ini" if "cookie" in block.code else "production.ini"
            lines = (ROOT / name).read_text("utf-8").splitlines()
            assert [line for line in block.code.splitlines() if line not in lines] == []

    def _run(self, command: str, expected: list[str]) -> None:
        if "pserve" in command:
            printed = self._serve(command)
        else:
            printed = self._shell.run(command, f"{PASSWORD}\n", strict=False).splitlines()
        if "psql" in command:  # the names of the columns
            printed, expected = (
                [line.partition("|")[0] for line in lines if "|" in line]
                for lines in (printed, expected)
            )
        unlike = [line for line in expected if not any(is_like(each, line) for each in printed)]
        assert unlike == [], (command, printed)
        if "pserve" not in command:
            assert len(printed) == len(expected), (command, printed)

    def _serve(self, command: str) -> list[str]:
        """Start what the command starts, in place of what ran before, unless it is to run on."""
        shell = Shell(self._shell.folder)
        shell.env = dict(self._shell.env)
        while "=" in command.split()[0]:
            variable, _, command = command.partition(" ")
            shell.env[variable.partition("=")[0]] = variable.partition("=")[2]
        further = command.startswith("pserve --server-name")
        if not further:
            self._servers.pop_all().close()
        port = self._replaced["6544" if further else "6543"]
        app = App(command.removesuffix(" &"), shell, int(port))
        app.log.unlink(missing_ok=True)  # that of the one before, at this port
        self._servers.enter_context(app.start())
        self.running = app if not further else self.running
        return app.output().splitlines()


@pytest.fixture
def walk(postgres: Postgres, tmp_path: Path) -> Iterator[Walk]:
    with required():
        for program in ("psql", "curl"):
            if shutil.which(program) is None:
                raise Missing(program, "apt install postgresql-client curl")
    names = [sql.Identifier(name) for name in ("session_example", "session_example_app")]
    with ExitStack() as servers, postgres.connect() as connection:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(create.format(names[1], sql.Literal(PASSWORD)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
        try:
            yield Walk(tmp_path, servers, postgres)
            servers.close()
        finally:
            servers.close()
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0])
            connection.execute(drop)
            connection.execute(sql.SQL("DROP ROLE {}").format(names[1]))


@pytest.mark.all
@pytest.mark.servers
def test_the_page_can_be_walked(walk: Walk) -> None:
    for block in blocks(PAGE):
        if block in WALK:
            walk.take(block)
        elif block.language == "text":  # what the log has by now
            assert walk.running is not None
            logged = re.findall("WARNI .*", walk.running.output())
            assert any(is_like(line, block.code) for line in logged), logged


def test_the_example_of_visits_is_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "visits.py").write_text(VISITS.code, "utf-8")
    (tmp_path / "page.jinja2").write_text(TEMPLATE.code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    settings = server_settings({"session.secret": SECRET})
    with Configurator(session_factory=ServerSessionFactory(MemoryStore(), settings)) as config:
        config.include("pyramid_jinja2")
        config.add_jinja2_search_path(str(tmp_path))
        exec(INCLUDE.code, {"config": config})
        config.add_route("page", "/{name}")
        config.add_view(lambda request: {}, route_name="page", renderer="page.jinja2")
        visitor = TestApp(config.make_wsgi_app())
    visitor.get("/a")
    links = re.findall('<a href="(.*?)">', visitor.get("/b").text)
    assert links == ["http://localhost/b", "http://localhost/a"]
    visitor.get("/c/d", status=404)
    assert len(re.findall("<li>", visitor.get("/a").text)) == 3


def test_a_session_is_a_dict() -> None:
    names: dict[str, Any] = {"request": SimpleNamespace(session={})}
    exec(EXAMPLE.code, names)
    assert names["colour"] == "green"
