"""Times as the session's panel tells them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessionsite.session_info import duration, relative

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
