"""docs/security.md against the tests: each row of the checklist is tested, or says why not."""

import ast
import re

import pytest

from sessionsite.testing import record
from tests import ROOT
from tests.harness.stores import sql_store

DOCUMENT = (ROOT / "docs/security.md").read_text("utf-8")
ROWS = [
    "7.1.1", "7.1.2", "7.1.3", "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.3.1", "7.3.2", "7.4.1",
    "7.4.2", "7.4.3", "7.4.4", "7.4.5", "7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2",
    "3.3.1", "3.3.2", "3.3.3", "3.3.4", "3.3.5",
    "CS strict", "CS input", "CS log", "CS cache", "CS at rest", "CS fixation",
    "N", "headers", "hosts", "bounds", "pickle",
]  # fmt: skip
REASON = r"none: .{20,}"


def prefix(row: str) -> str:
    """How the name of a test of the row begins."""
    name = re.sub(r"\W", "_", row.lower())
    return f"test_asvs_{name}_" if row[0].isdigit() else f"test_{name}_"


def names_of_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


TESTS = names_of_tests()


def lines_of(text: str) -> dict[str, str]:
    """The table: what stands in the column "tests", by row."""
    section = text.partition("\n## What is checked\n")[2].partition("\n## ")[0]
    lines = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {cells[0].removeprefix("| "): cells[2] for cells in lines[1:]}


def wrong(text: str, tests: set[str]) -> list[str]:
    """The rows with neither a test nor a reason, or with a test that the table does not name."""
    lines = lines_of(text)
    return [
        row
        for row in ROWS
        if not (
            f"`{prefix(row)}`" in lines.get(row, "")
            if any(name.startswith(prefix(row)) for name in tests)
            else re.fullmatch(REASON, lines.get(row, ""))
        )
    ]


def nameless(text: str, tests: set[str]) -> list[str]:
    """The prefixes that a text names, and no test has."""
    named = re.findall(r"`(test_\w*)`", text)
    return [start for start in named if not any(name.startswith(start) for name in tests)]


def test_each_row_has_a_test_or_says_why_not() -> None:
    assert wrong(DOCUMENT, TESTS) == []


def test_the_table_has_the_rows_and_no_other() -> None:
    assert list(lines_of(DOCUMENT)) == ROWS


def test_each_prefix_that_the_document_names_is_that_of_a_test() -> None:
    assert nameless(DOCUMENT, TESTS) == []


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_loses_its_tests_is_found(row: str) -> None:
    left = {name for name in TESTS if not name.startswith(prefix(row))}
    if left == TESTS:  # a reason stands in for the tests, and is needed
        assert wrong(DOCUMENT.replace(f"| {row} |", "| another |"), TESTS) == [row]
    else:
        assert wrong(DOCUMENT, left) == [row]
        assert nameless(DOCUMENT, left) == [prefix(row)]


def test_what_the_app_has_to_do_has_a_line_each() -> None:
    for row in ("7.1.3", "7.5.1", "7.5.2", "7.5.3", "7.6.1", "7.6.2"):
        assert f"\n- **{row}**: " in DOCUMENT


def test_the_warnings_that_the_document_names_are_those_of_the_code() -> None:
    section = DOCUMENT.partition("### The log warns of theft\n")[2].partition("\n### ")[0]
    named = re.findall(r"`([^`\n]+)`", section.partition("```\n\n")[2])
    named += re.findall(r"-e '([^']+)'", section)
    texts = {
        node.value
        for path in (ROOT / "sessionsite/sessions").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named = [text for text in named if " " in text and "=" not in text]  # no setting
    assert len(named) == 5
    assert [text for text in named if not any(text in other for other in texts)] == []


@pytest.mark.servers
def test_the_sql_of_the_document_does_what_it_says(postgres_url: str) -> None:
    parts = [part.partition("\n") for part in re.split(r"(?m)^#{2,3} ", DOCUMENT)]
    blocks = {head: re.findall(r"(?s)```sql\n(.*?)```", body) for head, _, body in parts}
    store = sql_store(postgres_url)

    def left_after(heading: str, place: int = 0) -> set[str]:
        with store.engine.connect() as connection:  # in AUTOCOMMIT mode
            connection.exec_driver_sql("DELETE FROM sessions")
            store.create(record("bot"))
            store.create(record("known", token_confirmed=True, owner="user:42"))
            store.create(record("the-name", token_confirmed=True, owner="user:43"))
            connection.exec_driver_sql("UPDATE sessions SET id = replace(id, 'id-', '')")
            connection.exec_driver_sql(blocks[heading][place].replace("%", "%%"))
            rows = connection.exec_driver_sql("SELECT id FROM sessions")
            return {row[0] for row in rows}

    try:
        assert left_after("The table or a backup has leaked") == set()
        assert left_after("A visitor's cookie was stolen") == {"bot", "known"}
        assert left_after("A flood of bots") == {"bot", "known", "the-name"}
        assert left_after("A flood of bots", 1) == {"known", "the-name"}
        assert left_after("Sessions of one account") == {"bot", "the-name"}
    finally:
        store.engine.dispose()
