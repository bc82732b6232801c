"""The HTML itself: valid, small, and its stylesheet kept for good."""

import re
from collections.abc import Callable
from typing import Any

import html5lib
import pytest

from tests import ROOT
from tests.harness.sites import Site

TEMPLATES = ROOT / "sessionsite" / "templates"
PATHS = ("/", "/about", "/contact", "/nothing")


def pages(site: Site) -> dict[str, str]:
    visitor = site.visitor()
    texts = {path: visitor.get(path, status="*").text for path in PATHS}
    texts["forgotten"] = visitor.get("/").forms[0].submit().follow().text
    texts["bad"] = visitor.post("/forget", status=400).text
    texts["markup"] = visitor.get("/about?<script>=\"'>&amp").text
    return texts


@pytest.mark.parametrize("name", ["sqlite", "development"])
def test_it_is_valid(make_site: Callable[..., Site], name: str) -> None:
    settings = {"pyramid.includes": ""} if name == "development" else {}
    for path, text in pages(make_site(name, settings)).items():
        html5lib.HTMLParser(strict=True).parse(text)  # raises ParseError
        ids = re.findall(r'\sid="(.*?)"', text)
        assert len(ids) == len(set(ids)), path


def test_markup_in_a_url_shows_as_text(site: Site) -> None:
    page = site.visitor().get("/about?<script>alert(1)</script>\"'&amp;")
    assert "<script" not in page.text.replace("debug_toolbar", "") or site.name == "development"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_a_page_with_twenty_visits_is_under_4_kilobytes(make_site: Callable[..., Site]) -> None:
    host = "sessions.example.org"
    visitor = make_site("sqlite", {"sessionsite.allowed_hosts": host}).visitor()
    for path in ("/about", "/contact", "/") * 8:
        page = visitor.get(path, extra_environ={"HTTP_HOST": host})
        assert len(page.body) < 4096
    assert len(re.findall("<li[ >]", page.text)) == 3 + 20


def test_templates_hold_loops_and_conditions_alone() -> None:
    tags = {
        tag
        for path in TEMPLATES.iterdir()
        for tag in re.findall(r"{%-?\s*(\w+)", path.read_text("utf-8"))
    }
    assert tags <= {"for", "endfor", "if", "elif", "else", "endif", "block", "endblock", "extends"}
    text = "".join(path.read_text("utf-8") for path in TEMPLATES.iterdir())
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text


class TestStylesheet:
    def address(self, site: Site) -> str:
        page = site.visitor().get("/")
        return str(page.html.find("link", rel="stylesheet")["href"])

    def test_it_is_kept_for_good_under_a_name_with_its_hash(
        self, make_site: Callable[..., Site]
    ) -> None:
        site = make_site("sqlite")
        address = self.address(site)
        assert re.fullmatch(r"/static/site\.[0-9a-f]{10}\.css", address)
        response = site.visitor().get(address)
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.content_type == "text/css"
        assert len(response.body) < 10_000

    def test_another_versions_name_is_served_but_not_kept(
        self, make_site: Callable[..., Site]
    ) -> None:
        response = make_site("sqlite").visitor().get("/static/site.0123456789.css")
        assert response.headers["Cache-Control"] == "max-age=60"

    @pytest.mark.parametrize("name", ["x.0123456789.css", "..%2f.0123456789.py", "site.0.css"])
    def test_a_name_of_nothing_is_a_404(self, make_site: Callable[..., Site], name: str) -> None:
        make_site("sqlite").visitor().get(f"/static/{name}", status=404)

    def test_no_page_names_another_host(self, make_site: Callable[..., Site]) -> None:
        site = make_site("sqlite")
        css = site.visitor().get(self.address(site)).text
        assert "url(" not in css
        assert "@import" not in css


class TestErrorPage:
    def broken(self, make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Any:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("the details of it")

        monkeypatch.setattr("sessionsite.views.session_details", fail)
        return make_site("sqlite")

    def test_an_unexpected_error_is_a_page_in_the_layout_and_a_line_in_the_log(
        self,
        make_site: Callable[..., Site],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        page = self.broken(make_site, monkeypatch).visitor().get("/", status=500)
        assert page.html.h1.get_text() == "Sessions - Error"
        assert len(page.html.nav.find_all("a")) == 3
        assert "details of it" not in page.text
        assert "Set-Cookie" not in page.headers
        assert "details of it" in caplog.text
