"""Times as the session's panel tells them, and the visits as items of a list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from sessionsite.session_info import duration, history_items, relative

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (1200, "20 minutes"),
     (3599, "1 hour"), (43200, "12 hours"), (86400, "1 day"), (172800, "2 days")],
)  # fmt: skip
def test_a_duration_is_in_its_largest_unit(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "just now"), (-5, "5 seconds ago"), (1200, "in 20 minutes")]
)
def test_a_moment_is_told_from_now(seconds: int, text: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == text


def test_a_session_without_idle_time_out_tells_no_such_end(make_site: Any) -> None:
    site = make_site("development", {"session.timeout": "none"})
    page = site.visitor().get("/about")
    assert "Started" in page.text
    assert "Ends if unused" not in page.text


VISITS = st.text(st.characters(exclude_characters="\0") | st.sampled_from("<>&\"'"))


@given(st.lists(VISITS | VISITS.map("https://{}".format), min_size=1))
def test_each_visit_is_escaped_and_only_http_is_a_link(history: list[str]) -> None:
    expected = []
    for url in history:
        text = escape(url)
        linked = url.startswith(("http://", "https://"))
        expected.append(f'<li><a href="{text}">{text}</a></li>' if linked else f"<li>{text}</li>")
    items = history_items(history)
    assert items == "\n".join(expected)
    assert escape(items) == items
