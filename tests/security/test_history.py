"""What a store holds of a history is shown as text, and as a link only where it is one."""

import pytest

from sessionsite.testing import session
from tests.harness.sites import Site

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
        data["_f_"] = ["half \ud800 a character", 5]
    messages = visitor.get("/").html.find_all(class_="message")
    assert [message.get_text() for message in messages] == ["half ? a character", "5"]
