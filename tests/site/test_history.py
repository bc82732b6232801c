"""`record_visit`: pure, bounded, and kind to URLs that are too long."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionsite.history import record_visit

URLS = st.text(max_size=80)


def test_the_newest_comes_first() -> None:
    assert record_visit(["b", "a"], "c", limit=20, max_bytes=None) == ["c", "b", "a"]


def test_two_visits_to_one_url_are_two() -> None:
    assert record_visit(["a"], "a", limit=20, max_bytes=None) == ["a", "a"]


def test_the_oldest_go_first() -> None:
    assert record_visit(["c", "b", "a"], "d", limit=3, max_bytes=None) == ["d", "c", "b"]
    assert record_visit(["c", "b", "a"], "d", limit=9, max_bytes=10) == ["d", "c"]


def test_a_url_that_is_too_long_loses_its_query() -> None:
    url = "http://h/about?" + "x" * 100
    assert record_visit(["a"], url, limit=3, max_bytes=50) == ["http://h/about", "a"]


def test_one_that_is_too_long_even_so_is_left_out() -> None:
    url = "http://" + "h" * 100 + "/?x"
    assert record_visit(["b", "a"], url, limit=2, max_bytes=50) == ["b", "a"]


@pytest.mark.parametrize("text", ["\U0001f600" * 10, "\x7f" * 20, "a" * 120])
def test_what_fits_is_told_by_the_bytes_of_its_json(text: str) -> None:
    size = len(json.dumps([text]))
    assert size == 124
    assert record_visit([], text, limit=1, max_bytes=size) == [text]
    assert record_visit([], text, limit=1, max_bytes=size - 1) == []


def test_it_changes_nothing_in_place() -> None:
    history = ["b", "a"]
    record_visit(history, "c", limit=1, max_bytes=10)
    assert history == ["b", "a"]


@given(st.lists(URLS, max_size=30), URLS, st.integers(1, 30), st.integers(2, 200) | st.none())
def test_it_keeps_within_its_limits(
    history: list[str], url: str, limit: int, max_bytes: int | None
) -> None:
    visits = record_visit(history, url, limit=limit, max_bytes=max_bytes)
    assert len(visits) <= limit
    if max_bytes is None:
        assert visits == [url, *history][:limit]
    else:
        assert len(json.dumps(visits).encode()) <= max_bytes
    shortened = [url.partition("?")[0], *history]
    assert any(visits == full[: len(visits)] for full in ([url, *history], shortened, history))


@pytest.mark.parametrize("limit", [1, 20])
def test_a_history_over_the_limit_is_cut_at_the_next_visit(limit: int) -> None:
    assert len(record_visit(["x"] * 500, "y", limit=limit, max_bytes=None)) == limit
