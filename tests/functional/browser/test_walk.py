"""The sites of both .ini files in a real Chromium: what visitors see, and what they can do."""

import time
from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.functional.browser.pages import (
    SCREENSHOTS,
    Site,
    expect_history,
    follow,
    forget_by_keyboard,
    forget_by_mouse,
    session_cookie,
)

PAGES = {"/": "Home", "/about": "About", "/contact": "Contact"}
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
COLOURS: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def test_a_walk_through_the_pages(page: Page, site: Site) -> None:
    expect_history(page, site, "/")
    expect(page.get_by_title("Show Toolbar")).to_have_count(int(site.name == "development"))
    walk = ["/"]
    for path in ("/about", "/contact", "/"):
        follow(page, PAGES[path])
        walk.insert(0, path)
        assert page.url == f"{site.url}{path}"
        assert page.title() == f"Sessions - {PAGES[path]}"
        expect(page.locator("[aria-current]")).to_have_text([PAGES[path]])
        expect(page.get_by_role("contentinfo").get_by_role("heading")).to_have_text("History")
        expect_history(page, site, *walk)
    for _ in range(2):
        page.reload()
        walk.insert(0, "/")
        expect_history(page, site, *walk)
    page.locator("footer li a").nth(3).click()  # the links in the history are visits too
    expect_history(page, site, "/contact", *walk)


def test_a_url_that_is_typed_shows_as_in_the_address_bar(page: Page, site: Site) -> None:
    visits = ["/"]
    for query in ("a=1&b=two words", "q=<b>&amp;\"'", "ключ=значение&é=☃", "?", "a=%2F%20+%26"):
        page.goto(f"{site.url}/about?{query}#here")
        visits.insert(0, page.url.removesuffix("#here").removeprefix(site.url))
        expect_history(page, site, *visits)


def test_a_private_window_has_a_history_of_its_own(
    page: Page, site: Site, open_window: Callable[[], Page]
) -> None:
    follow(page, "About")
    private = open_window()
    private.goto(f"{site.url}/contact")
    expect_history(private, site, "/contact")
    page.reload()
    expect_history(page, site, "/about", "/about", "/")
    tab = page.context.new_page()
    tab.goto(f"{site.url}/contact")
    expect_history(tab, site, "/contact", "/about", "/about", "/")


def go_back(page: Page, to: str) -> bool:
    """Press the back button; return whether the browser asked the site for the page again."""
    asked: list[bool] = []
    page.on("request", lambda request: asked.append(request.is_navigation_request()))
    page.go_back(wait_until="commit")
    expect(page.locator("h1")).to_have_text(f"Sessions - {to}")
    return any(asked)


def test_going_back_is_a_visit_if_the_browser_asks_again(page: Page, site: Site) -> None:
    # Over https Chromium keeps pages even of "no-store", while no cookie changes.
    follow(page, "About")
    follow(page, "Contact")
    walk = ["/about", "/"]
    asked = go_back(page, to="About")
    expect_history(page, site, *(["/about", "/contact"] if asked else []), *walk)
    page.reload()
    expect_history(page, site, *["/about"] * (1 + asked), "/contact", *walk)


def test_asvs_7_4_1_going_back_does_not_show_what_was_forgotten(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/contact?private")
    follow(page, "About")
    forget_by_mouse(page)
    go_back(page, to="About")
    expect_history(page, site, "/about", "/")
    go_back(page, to="Contact")
    expect_history(page, site, "/contact?private", "/about", "/")


def test_the_browser_keeps_the_cookie_as_the_ini_file_has_it(page: Page, site: Site) -> None:
    cookie = session_cookie(page)
    expires = cookie.pop("expires")
    assert cookie.pop("value")
    assert cookie == {
        "name": site.cookie,
        "domain": "localhost",  # for a Domain attribute it would begin with a dot
        "path": "/",
        "httpOnly": True,
        "secure": site.name == "production",
        "sameSite": "Lax",
    }
    # -1: it ends with the browser
    assert expires == (pytest.approx(time.time() + 43200, abs=60) if cookie["secure"] else -1)
    assert page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("forget", [forget_by_mouse, forget_by_keyboard])
def test_forget_me_starts_anew(page: Page, site: Site, forget: Callable[[Page], None]) -> None:
    follow(page, "About")
    forget(page)
    assert page.url == f"{site.url}/"
    expect_history(page, site, "/")
    page.reload()
    expect_history(page, site, "/", "/")
    expect(page.get_by_role("status")).to_have_count(0)


@pytest.mark.parametrize("site", ["production"], indirect=True)
def test_asvs_7_4_1_a_copy_of_the_cookie_opens_nothing_after_forget_me(
    page: Page, site: Site, open_window: Callable[[], Page]
) -> None:
    stolen = session_cookie(page)["value"]
    thief = open_window()
    thief.context.add_cookies(
        [{"name": site.cookie, "value": stolen, "url": site.url, "secure": True}]
    )
    thief.goto(f"{site.url}/contact")
    expect_history(thief, site, "/contact", "/")
    forget_by_mouse(page)
    thief.reload()
    expect_history(thief, site, "/contact")
    assert len({stolen, session_cookie(page)["value"], session_cookie(thief)["value"]}) == 3


def test_what_is_injected_into_a_page_has_no_effect(page: Page, problems: list[str]) -> None:
    page.locator("main").evaluate(
        "(main, html) => main.insertAdjacentHTML('beforeend', html)",
        "<img src='https://elsewhere.example/' onerror='alert()'><p style='color: red'>",
    )
    expect(page.locator("main p").last).not_to_have_css("color", "rgb(255, 0, 0)")
    page.reload()
    refused = [problem for problem in problems if "Content Security Policy" in problem]
    assert len(refused) == 3, problems  # the image, its script, the style
    assert set(problems) - set(refused) == {"GET https://elsewhere.example/"}
    problems.clear()


@pytest.mark.parametrize("site", ["development"], indirect=True)
def test_the_debug_toolbar_shows_the_session(page: Page, site: Site) -> None:
    follow(page, "About")
    with page.context.expect_page() as opened:
        page.get_by_title("Show Toolbar").click()
    toolbar = opened.value
    toolbar.wait_for_load_state()
    toolbar.get_by_role("link", name="Session", exact=True).click()
    panel = toolbar.locator(".panelContent:visible")
    expect(panel.get_by_role("row").filter(has_text="history")).to_contain_text(f"{site.url}/")
    expect(toolbar.locator("#requests")).to_contain_text("/about")  # an EventSource brings them
    page.reload()
    expect_history(page, site, "/about", "/about", "/")


def test_no_page_scrolls_sideways(page: Page, site: Site) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)

    def check(name: str) -> None:
        page.wait_for_load_state()
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for colours in COLOURS:
                page.emulate_media(color_scheme=colours)
                file = SCREENSHOTS / f"{site.name}-{name}-{size}-{colours}.png"
                page.screenshot(path=file, full_page=True)

    forget_by_mouse(page)
    check("message")
    page.goto(f"{site.url}/about?{'a-long-word' * 20}&{'+'.join(['word'] * 40)}")
    for name in PAGES.values():
        follow(page, name)
        check(name.lower())
    page.goto(f"{site.url}/nothing")
    check("not-found")
