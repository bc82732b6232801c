"""The checker sees each thing that a soak may find: what it is fed here is wrong in one way."""

from collections.abc import Mapping, Sequence
from itertools import count

import pytest

from tests.soak.checker import check
from tests.soak.ledger import Ending, Ledger, Visit

Rows = Mapping[str, Sequence[str]]


class Book:
    """A ledger that is filled by hand, one request after the other."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._clock = count()

    def visit(
        self, label: str, session: str = "a", status: int | None = 200, believed: str | None = None
    ) -> Visit:
        visit = Visit(label, next(self._clock), session if believed is None else believed)
        visit.ended, visit.status = next(self._clock), status
        visit.session = session if status == 200 else ""
        self.ledger.visits.append(visit)
        return visit

    def end(self, session: str = "a", status: int | None = 303) -> Ending:
        ending = Ending(session, next(self._clock), next(self._clock), status)
        self.ledger.endings.append(ending)
        return ending

    def faults(self, rows: Rows, tries: Mapping[str, int] | None = None) -> list[str]:
        return check(self.ledger, {id_: urls(*row) for id_, row in rows.items()}, tries).faults


def urls(*labels: str) -> list[str]:
    return [f"https://localhost:1/about?v={label}" for label in labels]


@pytest.fixture
def book() -> Book:
    """A visitor with three visits, and another one with one."""
    book = Book()
    for label in ("1.1", "1.2", "1.3"):
        book.visit(label)
    book.visit("2.1", "b")
    return book


GOOD: Rows = {"a": ["1.3", "1.2", "1.1"], "b": ["2.1"]}


def test_what_was_answered_is_no_fault(book: Book) -> None:
    verdict = check(book.ledger, {session: urls(*row) for session, row in GOOD.items()})
    assert verdict.faults == []
    assert (verdict.sessions, verdict.doubled, verdict.unanswered) == (2, [], 0)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ({"a": ["1.3", "1.1"]}, "visit 1.2 was answered 200, and is not in session a"),
        ({"a": ["1.3", "1.2", "1.2", "1.1"]}, "visit 1.2 is there 2 times"),
        ({"a": ["1.2", "1.3", "1.1"]}, "session a has 1.2 after 1.3, which came later"),
        ({"a": []}, "visit 1.1 was answered 200"),
        ({"a": ["1.3", "1.2", "1.1", "1.9"]}, "session a holds 1.9, which nobody asked for"),
        ({"b": ["1.3", "2.1"]}, "session b holds the visits of several visitors"),
        ({"b": ["1.3", "2.1"]}, "visit 1.3 is in session b, which its visitor never got"),
        ({"b": ["1.3", "2.1"]}, "visit 1.3 is there 2 times"),
        ({"c": ["1.3"]}, "visit 1.3 is in session c, which its visitor never got"),
        ({"c": ["3.1"]}, "session c holds 3.1, which nobody asked for"),
        ({"c": []}, "1 rows hold no visit, more than there were endings"),
    ],
)
def test_a_row_that_is_wrong_is_found(book: Book, rows: Rows, fault: str) -> None:
    assert any(found.startswith(fault) for found in book.faults({**GOOD, **rows}))


def test_a_session_that_has_gone_is_found(book: Book) -> None:
    assert book.faults({"b": ["2.1"]}) == ["session a has no row"]


def test_a_visitor_who_is_given_another_session_has_lost_one(book: Book) -> None:
    book.visit("1.4", "c", believed="a")
    assert book.faults({**GOOD, "c": ["1.4"]}) == ["visit 1.4: session a was lost"]


def test_an_ended_session_has_no_row_and_its_visitor_a_new_one(book: Book) -> None:
    book.end()
    book.visit("1.4", "c", believed="")
    assert book.faults({"b": ["2.1"], "c": ["1.4"]}) == []
    assert book.faults({**GOOD, "c": ["1.4"]}) == ["session a was ended, and has a row"]


def test_an_ending_that_came_later_explains_no_loss(book: Book) -> None:
    book.visit("1.4", "c", believed="a")
    book.end()
    faults = book.faults({"b": ["2.1"], "c": ["1.4"]})
    assert faults == ["visit 1.4: session a was lost"]


@pytest.mark.parametrize("status", [None, 502, 503, 504])
def test_an_ending_without_an_answer_may_have_happened(book: Book, status: int | None) -> None:
    book.end(status=status)
    assert book.faults(GOOD) == []
    assert book.faults({"b": ["2.1"]}) == []
    assert book.faults({"b": ["2.1"], "c": []}) == []  # its new session was never told of
    assert book.faults({"b": ["2.1"], "c": [], "d": []}) != []
    assert book.faults({**GOOD, "a": ["1.3", "1.2"]}) != []  # whole, or gone


def test_a_refused_ending_is_a_fault_and_explains_no_row(book: Book) -> None:
    book.end(status=400)
    assert book.faults(GOOD) == ["to forget session a was answered 400"]
    assert "1 rows hold no visit, more than there were endings" in book.faults({**GOOD, "c": []})


def test_the_second_of_two_endings_may_be_refused(book: Book) -> None:
    book.end(status=None)
    book.end(status=400)
    assert book.faults({"b": ["2.1"]}) == []


@pytest.mark.parametrize("status", [None, 502, 503, 504])
def test_a_visit_without_an_answer_may_be_there_once(book: Book, status: int | None) -> None:
    book.visit("1.4", status=status, believed="a")
    assert book.faults(GOOD) == []
    assert book.faults({**GOOD, "a": ["1.4", "1.3", "1.2", "1.1"]}) == []
    twice = book.faults({**GOOD, "a": ["1.4", "1.4", "1.3", "1.2", "1.1"]})
    assert twice == ["visit 1.4 is there 2 times"]


def test_a_visit_without_an_answer_can_be_late_but_not_early(book: Book) -> None:
    book.visit("1.4", status=503, believed="a")
    book.visit("1.5")
    late = ["1.4", "1.5", "1.3", "1.2", "1.1"]
    early = ["1.5", "1.3", "1.4", "1.2", "1.1"]
    assert book.faults({**GOOD, "a": late}) == []
    assert book.faults({**GOOD, "a": early}) != []


def test_a_first_visit_without_an_answer_may_leave_a_row_of_its_own(book: Book) -> None:
    book.visit("3.1", status=503, believed="")
    assert book.faults({**GOOD, "c": ["3.1"]}) == []
    book.visit("1.4", status=503, believed="a")  # this one had a session
    assert book.faults({**GOOD, "c": ["1.4"]}) != []
    assert book.faults({**GOOD, "b": ["3.1", "2.1"]}) != []


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_answer_that_no_fault_explains_is_one(book: Book, status: int) -> None:
    book.visit("1.4", status=status, believed="a")
    assert book.faults(GOOD) == [f"visit 1.4 was answered {status}"]
    recorded = f"visit 1.4 was answered {status}, and is in session a"
    assert recorded in book.faults({**GOOD, "a": ["1.4", "1.3", "1.2", "1.1"]})


def test_parallel_visits_are_in_any_order(book: Book) -> None:
    first, second = book.visit("1.4"), book.visit("1.5")
    second.sent = first.sent
    for row in (["1.5", "1.4"], ["1.4", "1.5"]):
        assert book.faults({**GOOD, "a": [*row, "1.3", "1.2", "1.1"]}) == []


def test_a_visit_that_nginx_repeated_may_be_there_twice_and_no_more(book: Book) -> None:
    tries = {"1.3": 2, "2.1": 2}
    twice = {**GOOD, "a": ["1.3", "1.3", "1.2", "1.1"]}
    assert book.faults(twice, tries) == []
    book.ledger.visits[-1].believed = ""  # a first visit: the first process gave it another row
    assert book.faults({**GOOD, "c": ["2.1"]}, tries) == []
    assert book.faults({**GOOD, "a": ["1.3", "1.3", "1.3", "1.2", "1.1"]}, tries) != []
    verdict = check(book.ledger, {id_: urls(*row) for id_, row in twice.items()}, tries)
    assert verdict.doubled == ["1.3"]


def test_what_was_wrong_with_a_page_is_a_fault(book: Book) -> None:
    book.ledger.pages.append("wrong")
    assert book.faults(GOOD) == ["wrong"]
