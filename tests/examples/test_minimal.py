"""examples/minimal.py: within twenty lines, and it counts what parallel requests add."""

import ast
import importlib
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

from sessionsite.testing import in_parallel
from tests import ROOT
from tests.harness import free_port, listening
from tests.harness.process import Server

SECRET = "a-secret-for-tests-that-is-long-enough"
FILE = ROOT / "examples" / "minimal.py"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Any:
    """Import the example anew: it reads its environment as it is imported."""
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.delitem(sys.modules, "examples.minimal", raising=False)
    return importlib.import_module("examples.minimal").make_app()


def test_visits_are_counted_for_each_visitor(app: Any) -> None:
    first, second = TestApp(app), TestApp(app)
    assert [first.get("/").text for _ in range(3)] == [f"This is visit {n}.\n" for n in (1, 2, 3)]
    assert second.get("/").text == "This is visit 1.\n"


def test_no_parallel_visit_is_lost(app: Any) -> None:
    visitor = TestApp(app)
    visitor.get("/")
    cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in visitor.cookies.items())}
    in_parallel(4, lambda _: [TestApp(app).get("/", headers=cookie) for _ in range(5)])
    assert visitor.get("/").text == "This is visit 22.\n"


def test_it_has_twenty_statements_at_most() -> None:
    tree = ast.parse(FILE.read_text("utf-8"))
    assert sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) <= 20


class Example(Server):
    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        env = {"SESSION_SECRET": SECRET, "PORT": str(self.port)}
        super().__init__([sys.executable, FILE], directory / "log", env=env, cwd=directory)

    def ready(self) -> bool:
        return listening(self.port)


@pytest.mark.all
@pytest.mark.servers
def test_its_command_serves(tmp_path: Path) -> None:
    with Example(tmp_path).start() as server:
        for _ in range(2):
            with urllib.request.urlopen(f"http://localhost:{server.port}/") as answer:
                assert answer.read() == b"This is visit 1.\n"
    assert (tmp_path / "sessions.db").exists()
    assert "ERROR" not in server.output()
