"""The site as its .ini files describe it, for WebTest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_app
from webtest import TestApp

from sessionsite.cli import main as sessionsite
from tests import ROOT


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

    def forget_all_visitors(self) -> None:
        """Delete every session that a store has."""
        if store := getattr(self.factory, "store", None):
            with store.engine.connect() as connection:  # in AUTOCOMMIT mode
                connection.exec_driver_sql("DELETE FROM sessions")


@contextmanager
def making_sites(directory: Path, url_of: Callable[[str], str]) -> Iterator[Callable[..., Site]]:
    """Make the site of development.ini, or of production.ini on the database of `url_of(name)`.

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
        changed = directory / ini.name
        changed.write_text(text)
        with pytest.MonkeyPatch.context() as environment:
            if name != "development":
                environment.setenv("DATABASE_URL", url_of(name))
                environment.setenv("SESSION_SECRET", "a-secret-for-tests-that-is-long-enough")
                assert sessionsite(["init-db", str(changed)]) == 0
            site = Site(name, get_app(str(changed)))
        if store := getattr(site.factory, "store", None):
            engines.append(store.engine)
        return site

    try:
        yield make
    finally:
        for engine in engines:
            engine.dispose()


def history(page: Any) -> list[str]:
    """The history that a page shows, newest first; each link's text is its address."""
    links = page.html.footer.find_all("a")
    assert [link["href"] for link in links] == [link.get_text() for link in links]
    return [link["href"] for link in links]
