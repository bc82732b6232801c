"""The shop of development.ini, in a folder and on databases of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.paster import get_app
from shop.scripts import initialize_db
from sqlalchemy.orm import Session
from webtest import TestApp
from webtest.http import StopableWSGIServer

pytest_plugins = ["sessionsite.testing.plugin"]

INI = Path(__file__).parents[1] / "development.ini"


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The app. SHOP_TEST_URL names an empty database for it; else there are two files of SQLite."""
    config = tmp_path_factory.mktemp("shop") / "development.ini"
    text = INI.read_text("utf-8")
    if url := os.environ.get("SHOP_TEST_URL"):
        for name in ("shop", "sessions"):
            text = text.replace(f"sqlite:///%(here)s/{name}.db", url.replace("%", "%%"))
    config.write_text(text, "utf-8")
    initialize_db.main([str(config)])
    return get_app(str(config))


@pytest.fixture
def visit(app: Any) -> Callable[[], TestApp]:
    """Make visitors: each has cookies of its own."""
    return lambda: TestApp(app, extra_environ={"HTTP_USER_AGENT": "Mozilla (X11; Linux) Firefox/1"})


@pytest.fixture
def testapp(visit: Callable[[], TestApp]) -> TestApp:
    return visit()


@pytest.fixture
def dbsession(app: Any) -> Iterator[Session]:
    """The shop's database, as it is after the last commit."""
    with app.registry["make_dbsession"]() as session:
        yield session


@pytest.fixture(scope="module")
def server(app: Any) -> Iterator[str]:
    """The URL of the shop, served by waitress in threads."""
    waitress = StopableWSGIServer.create(app, threads=8)
    yield waitress.application_url.rstrip("/")
    waitress.shutdown()
