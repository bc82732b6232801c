"""Real Chromium, and the sites of both .ini files to open in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from tests import ROOT
from tests.functional.browser.pages import Site
from tests.harness import free_port
from tests.harness.chromium import note_problems, start_chromium
from tests.harness.postgres import Postgres
from tests.harness.production import production_site
from tests.harness.pserve import start_pserve
from tests.harness.skipping import required


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For this module alone: Playwright's event loop would disturb other modules."""
    with ExitStack() as stack:
        with required():
            chromium = stack.enter_context(start_chromium())
        yield chromium


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("development")
    text = (ROOT / "development.ini").read_text("utf-8")
    assert "\nlisten = localhost:6543\n" in text
    config = directory / "development.ini"
    config.write_text(text.replace("localhost:6543", "localhost:%(http_port)s"), "utf-8")
    port = free_port()
    with start_pserve(config, env={}, args=[f"http_port={port}"], directory=directory):
        yield Site("development", f"http://localhost:{port}", "sessionsite")


@pytest.fixture(scope="module")
def production(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("production")
    with ExitStack() as servers:
        with required():
            database = postgres.create_database("browser")
            url = servers.enter_context(production_site(directory, database))
        yield Site("production", url, "__Host-sessionsite")


@pytest.fixture(params=["development", "production"])
def site(browser: Browser, request: pytest.FixtureRequest) -> Site:
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What `note_problems` finds in any window. There may be none."""
    noted: list[str] = []
    yield noted
    assert noted == []


@pytest.fixture
def open_window(browser: Browser, site: Site, problems: list[str]) -> Iterator[Callable[[], Page]]:
    """Open a private window: it has cookies of its own."""
    with ExitStack() as windows:

        def open_() -> Page:
            context = browser.new_context(ignore_https_errors=True)
            windows.callback(context.close)
            context.set_default_timeout(15_000)
            note_problems(context, site.url, problems, may_be_missing=f"{site.url}/nothing")
            return context.new_page()

        yield open_


@pytest.fixture
def page(open_window: Callable[[], Page], site: Site) -> Page:
    """A window that shows Home."""
    window = open_window()
    window.goto(f"{site.url}/")
    return window
