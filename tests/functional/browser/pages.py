"""What a visitor does with the pages in a browser, and what they must show then."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

from tests import ROOT

SCREENSHOTS = ROOT / "test-output"
ENDED = "Your session has ended, and its history is deleted."


@dataclass(frozen=True)
class Site:
    name: str
    url: str
    cookie: str


def expect_history(page: Page, site: Site, *visits: str) -> None:
    """Wait until the footer shows those visits, newest first: `/about` and the like."""
    urls = [f"{site.url}{visit}" for visit in visits]
    links = page.locator("footer li a")
    expect(links).to_have_text(urls)
    assert links.evaluate_all("all => all.map(link => link.getAttribute('href'))") == urls


def follow(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()
    expect(page.locator("h1")).to_have_text(f"Sessions - {name}")


def forget_by_mouse(page: Page) -> None:
    page.get_by_role("button", name="Forget me").click()
    expect(page.get_by_role("status")).to_have_text([ENDED])


def forget_by_keyboard(page: Page) -> None:
    for _ in range(page.locator("a, button, summary").count()):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('button')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text([ENDED])


def session_cookie(page: Page) -> Any:
    """The one cookie there is."""
    (cookie,) = page.context.cookies()
    return cookie
