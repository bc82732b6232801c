"""What a store holds of a history is shown as text, and as a link only where it is one."""

import json
from typing import Any

import html5lib
import pytest

from sessionsite.testing import session
from tests.harness.sites import Site, history

KEPT = "a\tb\nc\xa0d \u200d \u2028 \ue000 \U0001f469\u200d\U0001f4bb"
STORED = [
    "javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "//evil.example/", "vbscript:x", "", "/about",
    "https:evil.example", '"><script>alert(1)</script>',
]  # fmt: skip


@pytest.mark.parametrize("stored", STORED)
def test_cs_at_rest_only_http_urls_are_links(site: Site, stored: str) -> None:
    visitor = site.visitor()
    visitor.get("/")
    with session(visitor) as data:
        data["history"] = [stored, "https://kept.example/?a", "http://kept.example/"]
    page = visitor.get("/about")
    items = page.html.footer.find_all("li")
    assert [item.get_text() for item in items][1:] == [
        stored, "https://kept.example/?a", "http://kept.example/"
    ]  # fmt: skip
    links = [link["href"] for link in page.html.footer.find_all("a")]
    assert links == [f"{site.url}/about", "https://kept.example/?a", "http://kept.example/"]
    assert "<script" not in page.text


def test_cs_input_a_text_that_no_page_can_hold_is_left_out(site: Site) -> None:
    visitor = site.visitor()
    visitor.get("/")
    with session(visitor) as data:
        data["history"] = ["https://kept.example/", "half \ud800 a character"]
    assert [item.get_text() for item in visitor.get("/").html.footer.find_all("li")][1:] == [
        "https://kept.example/"
    ]


def test_cs_input_a_message_that_no_page_can_hold_is_no_error(site: Site) -> None:
    visitor = site.visitor()
    visitor.get("/")
    with session(visitor) as data:
        data["_f_"] = ["half \ud800 a character", 5, "a\x00b\x1b[1m\x7f\x85\ufdd0\U0010ffff", KEPT]
    page = visitor.get("/")
    html5lib.HTMLParser(strict=True).parse(page.text)
    messages = [message.get_text() for message in page.html.find_all(class_="message")]
    bad = "\ufffd"
    assert messages == [f"half {bad} a character", "5", f"a{bad}b{bad}[1m{bad * 4}", KEPT]


def test_bounds_a_row_that_was_edited_beyond_its_bounds_locks_nobody_out(
    make_site: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site("sqlite")
    visitor = site.visitor()
    visitor.get("/about")
    with site.factory.store.engine.connect() as connection:
        text = json.dumps({"junk": "x" * 70_000, "history": ["https://kept.example/"]})
        connection.exec_driver_sql("UPDATE sessions SET payload = ?", (text,))
    visitor.get("/", status=200)
    assert caplog.text.count("is too large, a new one takes its place") == 1
    assert history(visitor.get("/about"))[0] == f"{site.url}/about"
    with session(visitor) as data:
        assert "junk" not in data
    assert caplog.text.count("is too large") == 1


@pytest.mark.parametrize("max_bytes", ["300", "1000", "65536", "cookie"])
@pytest.mark.parametrize("history_bytes", ["none", "100000"])
def test_bounds_a_history_never_grows_beyond_what_the_session_holds(
    make_site: Any, history_bytes: str, max_bytes: str
) -> None:
    """More would be an error at each further visit."""
    settings = {"sessionsite.history_bytes": history_bytes}
    if max_bytes != "cookie":
        settings["session.max_bytes"] = max_bytes
    site = make_site("development" if max_bytes == "cookie" else "sqlite", settings)
    visitor = site.visitor()
    for length in (10, 100, 300, 1000, 3000, *[8000] * 10):
        page = visitor.get(f"/?{'x' * length}")
        assert page.html.footer.find_all("li")
    page.forms[0].submit(status=303)
    assert visitor.get("/").html.find(class_="message")
