"""What visitors note, and what is read from nginx's log."""

import pytest

from tests.soak.ledger import (
    End,
    Ledger,
    Visit,
    copies,
    cut_off,
    labels_of,
    repeated_by_proxy,
    wrong_with_page,
)

LOG = """\
127.0.0.1 [28/Nov/2026:08:21:18 +0000] "GET /?v=6.1 HTTP/1.1" 200 20 "-" 0.3 127.0.0.1:236 0.3
127.0.0.1 [28/Nov/2026:08:21:18 +0000] "GET /?v=6.2 HTTP/1.1" 200 20 "-" 0.3 127.0.0.1:1, 127.0.0.1:2 0.3, 0.0
127.0.0.1 [28/Nov/2026:08:21:18 +0000] "GET /about?v=6.3 HTTP/1.1" 502 9 "-" 0.3 127.0.0.1:1, 127.0.0.1:2 0.3, -
127.0.0.1 [28/Nov/2026:08:21:18 +0000] "POST /forget HTTP/1.1" 303 9 "-" 0.3 127.0.0.1:1, 127.0.0.1:2 0.3, 0.1
"""  # noqa: E501


def test_the_labels_of_a_history_are_read_from_its_urls() -> None:
    assert labels_of(["https://a/?v=1.2", "https://a/about?v=12.30", "?"]) == ["1.2", "12.30", "?"]


def test_a_request_that_nginx_passed_on_twice_is_read_from_its_log() -> None:
    assert repeated_by_proxy(LOG) == {"6.2": [1, 2], "6.3": [1, 2]}


@pytest.mark.parametrize(
    ("end", "signals"),
    [
        (End(1, "SIGKILL", 5, 7), ["SIGKILL"]),
        (End(1, "SIGTERM", 3, 5), ["SIGTERM"]),
        (End(2, "SIGKILL", 5, 7), []),  # the one that answered
        (End(1, "SIGKILL", 20, 21), []),  # later
        (End(1, "SIGKILL", 1, 2), []),  # before
    ],
)
def test_a_visit_is_cut_off_by_what_ended_the_process_that_had_it(
    end: End, signals: list[str]
) -> None:
    ledger = Ledger([Visit("6.1", 4, ended=6), Visit("6.2", 4, ended=6)])
    assert cut_off(ledger, {"6.2": [1, 2]}, [end]) == ({"6.2": signals} if signals else {})


def test_only_a_process_that_was_killed_excuses_a_second_copy() -> None:
    cut = {"1.1": ["SIGKILL"], "1.2": ["SIGTERM"], "1.3": ["SIGINT", "SIGKILL"]}
    assert copies(cut) == {"1.1": 2, "1.3": 2}


def test_a_page_shows_all_that_was_answered_before_it() -> None:
    visit = Visit("1.3", 0)
    assert wrong_with_page(visit, ["1.3", "1.2", "1.1"], ["1.1", "1.2"]) == []
    assert "does not show ['1.2']" in wrong_with_page(visit, ["1.3", "1.1"], ["1.1", "1.2"])[0]
    assert "not in front" in wrong_with_page(visit, ["1.1"], ["1.1"])[0]
    assert "another's history" in wrong_with_page(visit, ["1.3", "2.1"], [])[0]
