"""Another session.path or session.domain while visitors are about."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect

from sessionsite.sessions.sql import SQLAlchemyStore
from tests.functional.browser.named import NAME, living_sessions, named_site
from tests.functional.browser.pages import Site, follow, forget_by_mouse
from tests.harness.postgres import Postgres
from tests.harness.skipping import required
from tests.harness.stores import sql_store

# The lines of each configuration, and the path that its site is at.
CONFIGURATIONS: dict[str, tuple[dict[str, str], str]] = {
    "host": ({}, ""),
    "domain": ({"session.domain": NAME}, ""),
    "root": ({}, "/app"),
    "path": ({"session.path": "/app"}, "/app"),
}


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    return postgres.create_database("moved")


@pytest.fixture(scope="module")
def store(database: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(database)
    yield store
    store.engine.dispose()


@pytest.fixture(scope="module")
def sites(
    database: str, store: SQLAlchemyStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Site]]:
    """The site in each configuration, all on one database."""
    directory = tmp_path_factory.mktemp("moved")
    with ExitStack() as stack:
        found = {}
        for name, (lines, prefix) in CONFIGURATIONS.items():
            given = {"session.cookie_name": "__Secure-sessionsite", **lines}
            with required():
                site = named_site(directory / name, database, given, prefix)
                found[name] = stack.enter_context(site)
        yield found


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(ignore_https_errors=True)
    yield context.new_page()
    context.close()


class Visitor:
    """A visitor whose every visit must be in the history, which is that of one session."""

    def __init__(self, page: Page, store: SQLAlchemyStore) -> None:
        self._page, self._store = page, store
        self._others = living_sessions(store)
        self._visits: list[str] = []

    def walk(self, site: Site) -> None:
        self._page.goto(f"{site.url}/")
        self._expect(f"{site.url}/")
        for path, name in (("/about", "About"), ("/contact", "Contact")):
            follow(self._page, name)
            self._expect(f"{site.url}{path}")

    def forget(self, site: Site) -> None:
        forget_by_mouse(self._page)
        self._visits.clear()
        self._expect(f"{site.url}/")

    def _expect(self, visit: str) -> None:
        self._visits.insert(0, visit)
        expect(self._page.locator("footer li a")).to_have_text(self._visits)
        assert living_sessions(self._store) - self._others == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [("host", "domain"), ("domain", "host"), ("root", "path"), ("path", "root")],
)
def test_a_visitor_keeps_one_session_over_the_change_and_back(
    sites: dict[str, Site], window: Page, store: SQLAlchemyStore, before: str, after: str
) -> None:
    visitor = Visitor(window, store)
    visitor.walk(sites[before])
    for name in (after, before, after):
        visitor.walk(sites[name])
        visitor.forget(sites[name])
        visitor.walk(sites[name])
    # A stale one stays until its max_age, and opens nothing.
    assert len(window.context.cookies()) == 2
