"""`make docs`: the docs as pages, whole, and with no link that leads nowhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag

import sessionsite.sessions
import sessionsite.testing
from sessionsite.cli.group import commands
from tests import ROOT
from tests.harness.chromium import start_chromium
from tests.harness.skipping import required

pytestmark = pytest.mark.all


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages; a warning of Sphinx's is an error."""
    folder = tmp_path_factory.mktemp("docs")
    command = ["make", "docs", f"BIN={Path(sys.executable).parent}", f"DOCS={folder}", "-o"]
    done = subprocess.run(
        [*command, ".venv/.test"],
        cwd=ROOT,
        env={**os.environ, "SECRET_OF_THE_BUILDER": "never-to-be-printed"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html5lib")


def links(page: BeautifulSoup) -> Iterator[str]:
    for name, attribute in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
        for tag in page.find_all(name):
            if isinstance(tag, Tag) and tag.get(attribute):
                yield str(tag[attribute])


def test_every_link_leads_somewhere(pages: Path) -> None:
    found = {path: parsed(path) for path in sorted(pages.rglob("*.html"))}
    ids = {path: {str(tag["id"]) for tag in page.find_all(id=True)} for path, page in found.items()}
    lost = []
    for path, page in found.items():
        for link in links(page):
            address = urlsplit(link)
            if address.scheme or address.netloc:  # out of reach: its form is what can be checked
                well_formed = address.scheme == "https" and "." in (address.hostname or "")
                if not well_formed and address.scheme not in ("data", "mailto"):
                    lost.append((path.name, link))
                continue
            aim = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not aim.exists() or (address.fragment and unquote(address.fragment) not in ids[aim]):
                lost.append((path.name, link))
    assert lost == []
    assert len(found) > 15


def test_the_pages_have_every_public_name_and_every_command(pages: Path) -> None:
    reference = {str(tag["id"]) for tag in parsed(pages / "reference.html").find_all(id=True)}
    for package in (sessionsite.sessions, sessionsite.testing):
        names = {f"{package.__name__}.{name}" for name in package.__all__} - reference
        assert names <= {"sessionsite.testing.MemoryStore"}
    text = parsed(pages / "commands.html").get_text()
    for name, command in commands.commands.items():
        assert f"sessionsite {name}" in text
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in text


def test_a_public_name_leads_to_its_source(pages: Path) -> None:
    page = parsed(pages / "reference.html")
    (login,) = page.find_all(id="sessionsite.sessions.login")
    (source,) = [str(a["href"]) for a in login.find_all("a") if "_modules" in str(a["href"])]
    assert "def login(" in " ".join(parsed(pages / source.partition("#")[0]).get_text().split())


def test_nothing_of_the_machine_is_in_a_page(pages: Path) -> None:
    for path in pages.rglob("*.html"):
        text = path.read_text("utf-8")
        assert "never-to-be-printed" not in text
        assert str(ROOT) not in text
    assert metadata.version("sessionsite") in (pages / "index.html").read_text("utf-8")


@pytest.mark.servers
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_read_on_a_phone(pages: Path, scheme: Literal["light", "dark"]) -> None:
    """No page is wider than a phone; what is wider scrolls by itself."""
    with ExitStack() as stack:
        with required():
            browser = stack.enter_context(start_chromium())
        phone = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        page = phone.new_page()
        wide = {}
        for path in sorted(pages.glob("*.html")):
            page.goto(path.as_uri())
            wide[path.name] = page.evaluate("document.documentElement.scrollWidth")
        assert {name: width for name, width in wide.items() if width > 390} == {}
        page.goto((pages / "configuration.html").as_uri())
        table = page.locator(".table-wrapper").first
        assert table.evaluate("e => e.scrollWidth > e.clientWidth")
        assert table.evaluate("e => getComputedStyle(e).overflowX") == "auto"
