"""docs/writing-a-store.md: its table is `Record`, and its code keeps the contract and runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import fields
from pathlib import Path

import pytest
from pyramid.config import Configurator
from webtest import TestApp

from sessionsite import main
from sessionsite.cli import main as command
from sessionsite.sessions import ConfigurationError, Record, SessionStore, describe, session_factory
from tests import ROOT
from tests.docs.blocks import take
from tests.sessions.apps import count

DOCUMENT = (ROOT / "docs" / "writing-a-store.md").read_text("utf-8")
BLOCKS = take("writing-a-store.md")
SECRET = "a-secret-for-tests-that-is-long-enough"
MODULES = {
    "sessions.py": "An example",
    "test_store.py": "Testing it",
    "owners.py": "Sessions by owner",
    "factory.py": "A factory",
}
TEST_OF_OWNERS = """
import pytest
from myapp.owners import OwnerDictionaryStore
from sessionsite.testing import OwnerContract

class TestOwners(OwnerContract):
    @pytest.fixture
    def store(self):
        return OwnerDictionaryStore()
"""


def block(heading: str, language: str) -> str:
    """The one block of code in that language under a heading."""
    (found,) = (b for b in BLOCKS if b.heading.startswith(heading) and b.language == language)
    return found.code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's Python, as the package `myapp`."""
    (tmp_path / "myapp").mkdir()
    (tmp_path / "myapp" / "__init__.py").touch()
    for name, heading in MODULES.items():
        (tmp_path / "myapp" / name).write_text(block(heading, "python"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "myapp"]:
        del sys.modules[name]


@pytest.fixture
def settings(package: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The page's .ini lines."""
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    parser = ConfigParser(interpolation=None)
    parser.read_string(f"[app:main]\n{block('Plugging it in', 'ini')}")
    return dict(parser["app:main"])


def names(heading: str) -> list[str]:
    """What the first column of the tables under a heading names, without arguments."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\| `(\w+)", section)


def test_the_page_has_every_field_of_a_record() -> None:
    assert names("What a record holds") == [field.name for field in fields(Record)]


def test_the_page_has_every_method_of_a_store() -> None:
    promised = {name for name in dir(SessionStore) if not name.startswith("_")}
    assert set(names("What a store promises")) == promised


def test_the_store_keeps_the_contract_as_the_page_tests_it(package: Path) -> None:
    path = os.pathsep.join([str(package), str(ROOT)])
    (package / "myapp" / "test_owners.py").write_text(TEST_OF_OWNERS, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "myapp"],
        cwd=package,
        env={
            **os.environ,
            "PYTHONPATH": path,
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 120


def test_the_site_starts_on_the_lines_of_the_page(settings: dict[str, str]) -> None:
    site = TestApp(main({}, **settings))
    site.get("/")
    assert "Your session is kept in a dictionary." in site.get("/about").text
    assert site.get("/contact").text.count('<li><a href="http') == 3
    assert site.get("/healthz").json == {"status": "ok"}


def test_a_wrong_key_of_the_store_stops_the_start(settings: dict[str, str]) -> None:
    settings["session.store.limit"] = "many"
    with pytest.raises(ConfigurationError, match=r"session\.store\.limit = 'many': give a whole"):
        main({}, **settings)


def test_a_full_store_is_the_503_page(settings: dict[str, str]) -> None:
    settings["session.store.limit"] = "0"
    TestApp(main({}, **settings)).get("/", status=503)


def test_the_command_needs_the_keys_of_the_store_alone(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SESSION_SECRET")
    lines = ["[app:main]", "use = egg:sessionsite", *(f"{k} = {v}" for k, v in settings.items())]
    (tmp_path / "own.ini").write_text("\n".join(lines), "utf-8")
    assert command(["prune", str(tmp_path / "own.ini")]) == 0
    assert command(["init-db", str(tmp_path / "own.ini")]) == 1


def test_production_ini_has_the_lines_that_the_page_deletes() -> None:
    ini = (ROOT / "production.ini").read_text("utf-8")
    refused = re.findall(r"(?m)^(session\.sql(?:alchemy)?\.\w+) =", ini)
    deleted = re.findall(r"lines\s+`([\w.]+)` and `([\w.]+)`", DOCUMENT)
    assert [*deleted[0]] == refused


def test_the_factory_around_ours_opens_sessions(package: Path) -> None:
    settings = {
        "sessionsite.session_factory": "myapp.factory.session_factory_from_settings",
        "session.secret": SECRET,
        "session.mine.anything": "is its own to read",
    }
    factory = session_factory(settings)
    assert factory is not None
    with Configurator(settings={}, session_factory=factory) as config:
        config.include("sessionsite.sessions")
        config.add_route("page", "/")
        config.add_view(count, route_name="page")
    visitor = TestApp(config.make_wsgi_app())
    assert [visitor.get("/").text for _ in range(3)] == ["1", "2", "3"]
    assert factory.opened == 3
    description = describe(visitor.app.registry)
    assert description is not None
    assert description.where == "in a dictionary"
