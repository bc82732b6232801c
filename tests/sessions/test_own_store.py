"""A store, or a factory, of an app's own: pruner, health check and command work on it."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry
from webtest import TestApp

import sessionsite.sessions
from sessionsite import main
from sessionsite.cli import main as command
from sessionsite.sessions import (
    ConfigurationError,
    StoreError,
    all_sessions,
    describe,
    ping,
    session_factory,
)
from sessionsite.sessions.server import session_factory_from_settings
from sessionsite.testing import record
from tests.sessions.apps import SERVER, count
from tests.sessions.own_store import STORES, NamedStore

MODULE = "tests.sessions.own_store"
OWN_STORE = {
    "sessionsite.session_factory": SERVER,
    "session.secret": "a-secret-for-tests-that-is-long-enough",
    "session.store": f"{MODULE}.store_from_settings",
    "session.store.name": "one",
}
WRAPPER = {
    "sessionsite.session_factory": f"{MODULE}.wrapper_from_settings",
    "session.secret": "a-secret-for-tests-that-is-long-enough",
    "session.mine.name": "one",
}
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# An app that has copied the folder.
THEIR_APP = """
import sys
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp


def view(request):
    request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(request.session["n"]))


settings = {
    "sessionsite.session_factory": "theirs.web_sessions.server.session_factory_from_settings",
    "session.secret": "a-secret-for-tests-that-is-long-enough",
    "session.sqlalchemy.url": sys.argv[1],
    "session.sql.create_table": "true",
}
with Configurator(settings=settings) as config:
    config.include("theirs.web_sessions")
    config.add_route("page", "/")
    config.add_view(view, route_name="page")
app = TestApp(config.make_wsgi_app())
print([app.get("/").text for _ in range(3)], [n for n in sys.modules if n == "sessionsite"])
"""


@pytest.fixture
def store() -> Iterator[NamedStore]:
    STORES["one"] = NamedStore()
    yield STORES["one"]
    STORES.clear()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The threads that would have been started."""
    threads: list[Any] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: threads.append(thread))
    return threads


def app(settings: dict[str, str]) -> TestApp:
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        config.add_route("page", "/")
        config.add_view(count, route_name="page")
    return TestApp(config.make_wsgi_app())


def config_file(folder: Path, settings: dict[str, str]) -> str:
    lines = ["[app:main]", "use = egg:sessionsite", *(f"{k} = {v}" for k, v in settings.items())]
    (folder / "own.ini").write_text("\n".join(lines))
    return str(folder / "own.ini")


@pytest.mark.parametrize("settings", [OWN_STORE, WRAPPER], ids=["store", "factory"])
class TestBoth:
    def test_sessions_are_kept_in_it(self, store: NamedStore, settings: dict[str, str]) -> None:
        visitor = app(settings)
        assert [visitor.get("/").text for _ in range(3)] == ["1", "2", "3"]
        assert len(store._records) == 1

    def test_the_health_check_asks_it(self, store: NamedStore, settings: dict[str, str]) -> None:
        site = TestApp(main({}, **settings))
        assert site.get("/healthz").json == {"status": "ok"}
        store.is_away = True
        assert site.get("/healthz", status=503).json["status"] == "error"
        with pytest.raises(StoreError):
            ping(site.app.registry)

    def test_the_pages_say_where_it_is(self, store: NamedStore, settings: dict[str, str]) -> None:
        site = TestApp(main({}, **settings))
        assert "Your session is kept in a store of the test&#39;s own." in site.get("/about").text
        description = describe(site.app.registry)
        assert description is not None
        assert description.where == store.where

    def test_the_pruner_prunes_it(
        self, store: NamedStore, settings: dict[str, str], started: list[Any]
    ) -> None:
        app(settings).get("/")
        store.create(record(expires_at=LONG_AGO))
        (pruner,) = started
        assert pruner.prune() == 1

    def test_the_command_prunes_it_and_closes_it(
        self,
        store: NamedStore,
        settings: dict[str, str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        store.create(record(expires_at=LONG_AGO))
        assert command(["prune", config_file(tmp_path, settings)]) == 0
        assert capsys.readouterr().out == "1 expired sessions removed\n"
        assert store.closed == 1

    def test_it_has_no_table_to_create(
        self,
        store: NamedStore,
        settings: dict[str, str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert command(["init-db", config_file(tmp_path, settings)]) == 1
        assert "no table of ours" in capsys.readouterr().err


def test_the_command_needs_no_secret(store: NamedStore, tmp_path: Path) -> None:
    settings = OWN_STORE | {"session.secret": "${NOT_SET_FOR_A_COMMAND}"}
    assert command(["prune", config_file(tmp_path, settings)]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"session.store.name": ""}, "session.store.name: is required"),
        ({"session.store": "no.such.module"}, "session.store = 'no.such.module': give the dotted"),
        ({"session.store": f"{MODULE}.STORES"}, "give the dotted name of a callable"),
        ({"session.store": f"{MODULE}.no_store"}, "object is no SessionStore, it lacks close, con"),
        ({"session.sql.table": "x"}, "session.sql.table: is the SQL store's"),
        ({"session.sqlalchemy.url": "x"}, "session.sqlalchemy.url: is the SQL store's"),
        ({"session.store": ""}, "session.store.name: belongs to a store of your own"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        session_factory(OWN_STORE | changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_factory_that_is_set_by_hand_has_its_pruner_too(
    store: NamedStore, started: list[Any]
) -> None:
    with Configurator(settings={}) as config:
        config.include("sessionsite.sessions")
        config.set_session_factory(session_factory(WRAPPER))
    app = config.make_wsgi_app()
    assert app.registry.getUtility(ISessionFactory).store is store
    TestApp(app).get("/", status=404)
    assert len(started) == 1


def test_the_folder_works_under_another_name(tmp_path: Path, sqlite_url: str) -> None:
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copytree(Path(sessionsite.sessions.__file__).parent, package / "web_sessions")
    done = subprocess.run(
        [sys.executable, "-c", THEIR_APP, sqlite_url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['1', '2', '3'] []\n", done.stderr


def test_a_limit_needs_a_store_that_finds_owners() -> None:
    settings = {
        "session.secret": "a-secret-for-tests-that-is-long-enough",
        "session.store": "tests.sessions.own_store.key_and_value",
        "session.max_per_owner": "1",
    }
    with pytest.raises(ConfigurationError, match="KeyAndValue finds no sessions by their owner"):
        session_factory_from_settings(settings)


def test_there_is_no_session_store_where_sessions_are_in_none() -> None:
    registry = Registry()
    assert all_sessions(registry) is None
    registry.registerUtility(lambda request: None, ISessionFactory)
    assert all_sessions(registry) is None
