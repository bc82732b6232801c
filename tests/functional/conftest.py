"""The site as its .ini files describe it, for WebTest."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_app
from webtest import TestApp

from sessionsite.cli import main as sessionsite
from tests.conftest import ROOT

SITES = ("development", "sqlite", "postgres")


class Site:
    """One .ini file's site: any number of visitors on one app."""

    def __init__(self, name: str, app: Any) -> None:
        self.name = name
        self.app = app
        self.scheme = "http" if name == "development" else "https"
        self.url = f"{self.scheme}://localhost"

    def visitor(self) -> TestApp:
        return TestApp(
            self.app,
            extra_environ={
                "HTTP_HOST": "localhost",
                "REMOTE_ADDR": "127.0.0.1",
                "SERVER_PORT": "443" if self.scheme == "https" else "80",
                "wsgi.url_scheme": self.scheme,
            },
        )

    @property
    def factory(self) -> Any:
        return self.app.registry.queryUtility(ISessionFactory)


@pytest.fixture
def make_site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    """Make the site of development.ini, or of production.ini on SQLite or PostgreSQL.

    Keyword arguments replace or add lines of its [app:main] section.
    """
    engines = []

    def make(name: str, settings: dict[str, str] | None = None) -> Site:
        ini = ROOT / ("development.ini" if name == "development" else "production.ini")
        text = ini.read_text()
        for key, value in (settings or {}).items():
            kept = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
            kept.insert(kept.index("[app:main]") + 1, f"{key} = {value}")
            text = "\n".join(kept)
        changed = tmp_path / ini.name
        changed.write_text(text)
        if name != "development":
            monkeypatch.setenv("DATABASE_URL", request.getfixturevalue(f"{name}_url"))
            monkeypatch.setenv("SESSION_SECRET", "a-secret-for-tests-that-is-long-enough")
            assert sessionsite(["init-db", str(changed)]) == 0
        site = Site(name, get_app(str(changed)))
        if store := getattr(site.factory, "store", None):
            engines.append(store.engine)
        return site

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    """The site of each .ini file in turn."""
    return make_site(request.param)


def history(page: Any) -> list[str]:
    """The history that a page shows, newest first; each link's text is its address."""
    links = page.html.footer.find_all("a")
    assert [link["href"] for link in links] == [link.get_text() for link in links]
    return [link["href"] for link in links]
