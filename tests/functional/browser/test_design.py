"""How the pages look, read and load, at phone and desktop size, light and dark."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.functional.browser.pages import ENDED, SCREENSHOTS, Site

VIEWS = {
    f"{size}-{colours}": (size, colours)
    for size in ("390x844", "1440x900")
    for colours in ("light", "dark")
}
PAGES = {"home": "/", "about": "/about", "contact": "/contact", "missing": "/nothing"}
Colours = Literal["light", "dark"]


@pytest.fixture
def site(browser: Browser, production: Site) -> Site:
    return production


@pytest.fixture
def view(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of the size and in the colours that the test names."""
    size, colours = VIEWS[request.param]
    width, height = map(int, size.split("x"))
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colours,  # type: ignore[arg-type]
        ignore_https_errors=True,
    )
    yield context.new_page()
    context.close()


in_every_view = pytest.mark.parametrize("view", VIEWS, indirect=True)


def visit_all(page: Page, site: Site) -> None:
    for path in (*PAGES.values(), "/about?q=" + "long-" * 100, "/contact?a=<b>&c='d'"):
        page.goto(f"{site.url}{path}")


@in_every_view
class TestEveryView:
    def test_axe_finds_nothing(self, view: Page, site: Site) -> None:
        visit_all(view, site)
        for name, path in PAGES.items():
            view.goto(f"{site.url}{path}")
            for details in view.locator("details").all():
                details.evaluate("element => element.open = true")
            found = Axe().run(view).response["violations"]
            assert json.dumps(found, indent=1) == "[]", name

    def test_axe_finds_nothing_on_the_page_after_forget_me(self, view: Page, site: Site) -> None:
        visit_all(view, site)
        view.goto(f"{site.url}/")
        view.get_by_role("button", name="Forget me").click()
        expect(view.get_by_role("status")).to_have_text(ENDED)
        assert Axe().run(view).response["violations"] == []

    def test_it_is_kept_as_a_picture(
        self, view: Page, site: Site, request: pytest.FixtureRequest
    ) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        visit_all(view, site)
        for name, path in PAGES.items():
            view.goto(f"{site.url}{path}")
            for details in view.locator("details").all():
                details.evaluate("element => element.open = true")
            picture = SCREENSHOTS / f"{name}-{request.node.callspec.id}.png"
            view.screenshot(path=picture, full_page=True)
            assert picture.stat().st_size > 5000

    def test_nothing_moves_while_it_loads(self, view: Page, site: Site) -> None:
        view.add_init_script(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "entry => window.shift += entry.value)).observe({type: 'layout-shift', buffered: true})"
        )
        for path in PAGES.values():
            view.goto(f"{site.url}{path}", wait_until="networkidle")
            assert view.evaluate("window.shift") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1440, 2560])
def test_no_width_scrolls_sideways(browser: Browser, site: Site, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, ignore_https_errors=True)
    visit_all(page, site)
    for path in PAGES.values():
        page.goto(f"{site.url}{path}")
        for details in page.locator("details").all():
            details.evaluate("element => element.open = true")
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), path
    page.context.close()


class TestKeyboard:
    def tab_to(self, page: Page, selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        raise AssertionError(f"Tab does not reach {selector}")

    def test_the_first_stop_skips_to_the_content(self, page: Page) -> None:
        page.keyboard.press("Tab")
        link = page.get_by_role("link", name="Skip to content")
        expect(link).to_be_focused()
        expect(link).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert page.url.endswith("#main")

    def test_the_details_open(self, page: Page) -> None:
        self.tab_to(page, "summary")
        page.keyboard.press("Enter")
        expect(page.locator("details dl")).to_be_visible()

    def test_the_focus_is_visible(self, page: Page) -> None:
        for selector in ("nav a", "footer li a", "summary", "button"):
            self.tab_to(page, selector)
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", selector

    def test_links_are_followed(self, page: Page) -> None:
        self.tab_to(page, "nav a[href='/contact']")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Sessions - Contact")


class TestReading:
    def test_a_screen_reader_finds_landmarks_and_headings_in_order(self, page: Page) -> None:
        tree = page.locator("body").aria_snapshot()
        place = -1
        for mark in ("banner", "navigation", "main", "heading", "contentinfo", '"History"', "list"):
            place = tree.index(mark, place + 1)
        assert page.locator("html").get_attribute("lang") == "en"

    def test_the_page_being_viewed_is_marked(self, page: Page, site: Site) -> None:
        page.goto(f"{site.url}/about")
        marked = page.locator("footer .viewed li:first-child")
        expect(marked).to_have_count(1)
        expect(marked).to_have_text(f"{site.url}/about")
        note = marked.evaluate("element => getComputedStyle(element, '::after').content")
        assert note == '"this page"'

    def test_your_session_tells_its_times_in_utc(self, page: Page) -> None:
        page.reload()  # what is told of the past needs one
        page.locator("summary").click()
        terms = page.locator("details dt").all_inner_texts()
        assert terms == [
            "Started", "Last seen", "Ends if unused", "Ends at the latest", "Kept", "Size", "Name",
        ]  # fmt: skip
        for moment in page.locator("details time").all():
            stamp = moment.get_attribute("datetime") or ""
            assert stamp.endswith("+00:00")
            assert moment.inner_text()

    def test_the_secret_shows_nowhere(self, page: Page, site: Site) -> None:
        (cookie,) = page.context.cookies()
        assert cookie["value"] not in page.content()

    def test_without_scripts_nothing_is_missing(self, browser: Browser, site: Site) -> None:
        context = browser.new_context(java_script_enabled=False, ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"{site.url}/")
        page.locator("summary").click()
        expect(page.locator("details time").first).to_be_visible()
        page.get_by_role("button", name="Forget me").click()
        expect(page.get_by_role("status")).to_have_text(ENDED)
        context.close()

    def test_who_wants_no_motion_gets_none(self, browser: Browser, site: Site) -> None:
        context = browser.new_context(reduced_motion="reduce", ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"{site.url}/")
        durations = page.evaluate(
            "[...document.querySelectorAll('*')].map(e => getComputedStyle(e).transitionDuration)"
        )
        assert set(durations) == {"0s"}
        context.close()


def test_a_page_is_one_request_once_the_stylesheet_is_kept(
    page: Page, site: Site, record_property: Callable[[str, object], None]
) -> None:
    """Reports First Contentful Paint and sizes; there is no limit on times."""
    for n in range(20):
        page.goto(f"{site.url}/about?visit={n}")
    requests: list[Any] = []
    page.context.on("request", lambda request: requests.append(request.url))
    page.goto(f"{site.url}/", wait_until="networkidle")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    loads = page.evaluate(
        "performance.getEntriesByType('resource').map(e => [e.name, e.transferSize])"
    )
    html = page.evaluate("performance.getEntriesByType('navigation')[0].transferSize")
    figures = {"first_contentful_paint_ms": paint, "html_bytes": html, "resources": loads}
    for name, value in figures.items():
        record_property(name, value)
    SCREENSHOTS.mkdir(exist_ok=True)
    (SCREENSHOTS / "page-load.json").write_text(json.dumps(figures, indent=1))
    # The stylesheet comes from the browser's cache. (It keeps no icon of a certificate like ours.)
    assert [size for name, size in loads if name.endswith(".css")] == [0]
    assert {url for url in requests if "favicon" not in url} == {
        f"{site.url}/",
        *(name for name, _ in loads if name.endswith(".css")),
    }
