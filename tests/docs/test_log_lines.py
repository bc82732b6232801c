"""docs/operations.md has every line that the package can log, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sessionsite
from tests import ROOT

CODE = sorted(Path(sessionsite.__file__).parent.rglob("*.py"))
DOCUMENT = (ROOT / "docs" / "operations.md").read_text("utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Lines whose text the call has from elsewhere: all texts that begin so in the module.
BEGINNINGS = {"events.py": "Session %s:", "availability.py": "Session store:"}


def plain(text: str) -> str:
    """A line as the document writes it."""
    text = re.sub(r"%s = %r|%(\.\d)?[a-z]", "…", text).replace("`", "")
    return re.sub(r"…(, …)*", "…", text) if text.startswith("%s") else text


def logged(path: Path) -> Iterator[str]:
    """The texts of the module's calls of loggers."""
    tree = ast.parse(path.read_text("utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(BEGINNINGS.get(path.name, "no line"))
        ):
            yield node.value
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        logger, level = node.func.value, node.func.attr
        if not (isinstance(logger, ast.Name) and logger.id in ("log", "audit")):
            continue
        if level not in LEVELS | {"log"}:
            continue
        text = node.args[1 if level == "log" else 0]
        if isinstance(text, ast.Name):
            text = constants.get(text.id, text)
        if isinstance(text, ast.Constant):
            yield str(text.value)
        else:  # made at run time
            assert path.name in BEGINNINGS, (path, node.lineno)


def documented() -> list[str]:
    section = DOCUMENT.partition("### Every line\n")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\| `(.*?)` \|", section)


def test_the_document_has_every_line_and_no_other() -> None:
    lines = {plain(text) for path in CODE for text in logged(path)}
    assert len(lines) > 40
    assert set(documented()) == lines
    assert len(documented()) == len(lines)


def test_every_logger_is_one_that_the_test_knows() -> None:
    for path in CODE:
        for line in re.findall(r".*getLogger\(.*", path.read_text("utf-8")):
            assert re.match(r"(log|audit) = | +logging.getLogger\(EVENTS\)", line), (path, line)
