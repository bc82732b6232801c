"""What a visitor notes of what it is answered."""

from collections.abc import Iterator

import pytest

from tests.soak.ledger import Ledger
from tests.soak.visitors import Reply, Visitor

PAGE = """
<ol>{}</ol> <dl><dt>Name</dt>
<dd>{}</dd></dl> <input type="hidden" name="csrf_token" value="token-of-{}">
"""


def page(session: str, *labels: str) -> str:
    return PAGE.format("".join(f'<a href="/?v={label}">' for label in labels), session, session)


class Answers:
    """What a site answers, one after the other, and what it was sent."""

    def __init__(self) -> None:
        self.replies: Iterator[Reply] = iter(())
        self.sent: list[tuple[str, str, dict[str, str] | None]] = []

    def ask(self, path: str, cookie: str, form: dict[str, str] | None = None) -> Reply:
        self.sent.append((path, cookie, form))
        return next(self.replies)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def visitor(answers: Answers, ledger: Ledger) -> Visitor:
    return Visitor("7", answers, ledger)


def test_a_visitor_keeps_its_cookie_and_notes_each_visit(
    visitor: Visitor, answers: Answers, ledger: Ledger
) -> None:
    answers.replies = iter(
        [(200, "c=1", page("a", "7.1")), (503, "", ""), (200, "", page("a", "7.3", "7.1"))]
    )
    assert [visitor.visit("/") for _ in range(3)] == [True, False, True]
    assert [cookie for _, cookie, _ in answers.sent] == ["", "c=1", "c=1"]
    noted = [(v.label, v.status, v.believed, v.session) for v in ledger.visits]
    assert noted == [("7.1", 200, "", "a"), ("7.2", 503, "a", ""), ("7.3", 200, "a", "a")]
    assert ledger.pages == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (page("a", "7.2"), "does not show ['7.1']"),
        (page("a", "7.2", "8.1", "7.1"), "another's history"),
        ("<ol></ol>", "not whole"),
    ],
)
def test_a_page_that_is_wrong_is_noted(
    visitor: Visitor, answers: Answers, ledger: Ledger, text: str, wrong: str
) -> None:
    answers.replies = iter([(200, "c=1", page("a", "7.1")), (200, "", text)])
    visitor.visit("/")
    visitor.visit("/")
    (noted,) = ledger.pages
    assert wrong in noted


def test_the_session_after_an_ending_is_known_from_its_first_page_on(
    visitor: Visitor, answers: Answers, ledger: Ledger
) -> None:
    answers.replies = iter(
        [
            (200, "c=1", page("a", "7.1")),
            (303, "c=2", ""),
            (503, "", ""),
            (200, "", page("b", "7.3")),
        ]
    )
    visitor.visit("/")
    assert visitor.may_forget
    assert visitor.forget()
    assert not visitor.may_forget
    visitor.visit("/")
    assert ledger.visits[1].believed == ""
    visitor.visit("/")
    assert ledger.visits[1].believed == ledger.visits[2].session == "b"
    assert answers.sent[1] == ("/forget", "c=1", {"csrf_token": "token-of-a"})
    (ending,) = ledger.endings
    assert (ending.session, ending.status) == ("a", 303)


def test_an_ending_without_an_answer_leaves_the_cookie(
    visitor: Visitor, answers: Answers, ledger: Ledger
) -> None:
    answers.replies = iter([(200, "c=1", page("a", "7.1")), (None, "", ""), (None, "", "")])
    visitor.visit("/")
    assert not visitor.forget()
    assert not visitor.visit("/")
    assert answers.sent[2][1] == "c=1"
    assert ledger.endings[0].status is None
