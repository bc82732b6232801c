"""A real Chromium on a real server: what a visitor sees, on a phone and on a desk.

SHOP_PICTURES=docs keeps the README's pictures.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "desktop": {"width": 1200, "height": 800},
}
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system, or else Playwright's own (`playwright install chromium`)."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, chromium_sandbox=os.geteuid() != 0
        )
        yield browser
        browser.close()


@pytest.fixture
def open_(browser: Browser, server: str) -> Iterator[Open]:
    """Open a window that shows the shop; its cookies are its own."""
    contexts = []

    def open_window(size: str = "desktop", *, dark: bool = False) -> Page:
        context = browser.new_context(
            base_url=server,
            viewport=SIZES[size],
            color_scheme="dark" if dark else "light",
            device_scale_factor=2 if size == "phone" else 1,
        )
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto("/")
        return page

    yield open_window
    for context in contexts:
        context.close()


def log_in(page: Page, name: str = "ann", password: str = "tea for two") -> None:  # noqa: S107
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Remember me").check()
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("status")).to_have_text(f"Welcome, {name}.")


def test_from_the_first_look_to_the_order(open_: Open) -> None:
    page = open_("phone")
    page.get_by_role("link", name="Oolong").click()
    page.get_by_role("button", name="Add to the cart").click()
    expect(page.get_by_role("status")).to_have_text("Oolong is in your cart.")
    page.get_by_role("link", name="Leaf & Cup").click()
    page.get_by_role("button", name="Add Sencha to the cart").click()
    page.get_by_role("button", name="Order").click()
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("tea for two")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your orders")
    expect(page.get_by_role("status")).to_have_text("Thank you. Your tea is on its way.")
    order = page.get_by_role("region").first
    expect(order.get_by_role("listitem")).to_have_text(["1 × Oolong", "1 × Sencha"])
    expect(page.get_by_role("link", name="Cart")).to_have_text("Cart")


def test_what_a_page_sends_in_parallel_is_all_counted(open_: Open) -> None:
    page = open_()
    page.evaluate(
        """async () => {
            const form = document.querySelector('form[action="/cart/add"]');
            const body = new URLSearchParams(new FormData(form));
            const add = () => fetch(form.action, {method: 'POST', body});
            await Promise.all(Array.from({length: 12}, add));
        }"""
    )
    page.goto("/cart")
    expect(page.get_by_role("listitem")).to_contain_text("12 × €")


def test_a_double_click_is_one_order(open_: Open) -> None:
    page = open_()
    log_in(page, "bob", "two for tea")
    page.goto("/orders")
    placed = page.get_by_role("heading", level=2).count()
    page.goto("/")
    page.get_by_role("button", name="Add Assam to the cart").click()
    page.get_by_role("button", name="Order").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your orders")
    expect(page.get_by_role("heading", level=2)).to_have_count(placed + 1)


def test_a_lost_phone_is_logged_out_from_the_desk(open_: Open) -> None:
    desk, phone = open_(), open_("phone")
    log_in(desk)
    log_in(phone)
    desk.get_by_role("link", name="Your devices").click()
    others = desk.get_by_role("listitem").filter(has_not_text="this one")
    for left in reversed(range(others.count())):
        others.first.get_by_role("button").click()
        expect(others).to_have_count(left)
    phone.goto("/devices")
    expect(phone.get_by_role("heading", level=1)).to_have_text("Log in")
    desk.reload()
    expect(desk.get_by_role("listitem")).to_have_count(1)
    desk.get_by_role("button", name="Log out everywhere").click()
    expect(desk.get_by_role("status")).to_have_text("You are logged out on all devices.")
    expect(desk.get_by_role("link", name="Log in")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_each_page_can_be_used_by_all(open_: Open, tmp_path: Path, size: str, dark: bool) -> None:
    """axe finds nothing, nothing is wider than the window, and the pictures are kept."""
    page = open_(size, dark=dark)
    pictures = Path(os.environ.get("SHOP_PICTURES") or tmp_path)

    def look(name: str) -> None:
        assert Axe().run(page).response["violations"] == [], name
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.screenshot(path=pictures / f"{name}-{size}-{'dark' if dark else 'light'}.png")

    page.goto("/login")
    look("login")
    page.goto("/teas/darjeeling")
    look("tea")
    page.goto("/teas/sencha")
    page.goto("/")
    page.get_by_role("button", name="Add Darjeeling to the cart").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your cart")
    log_in(page)
    open_other = open_("phone" if size == "desktop" else "desktop")
    log_in(open_other)
    page.goto("/")
    look("home")
    page.goto("/cart")
    look("cart")
    page.goto("/devices")
    look("devices")
    page.goto("/nothing")
    look("error")
    page.goto("/cart")
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your orders")
    look("orders")
    page.goto("/devices")
    page.get_by_role("button", name="Log out everywhere").click()
