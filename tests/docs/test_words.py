"""The words: one name per thing, plain English, and nothing named that is not there."""

import ast
import importlib.util
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks/README.md",
    ROOT / "examples/shop/README.md",
]
CODE = sorted((ROOT / "sessionsite").rglob("*.py"))
TEXTS = [
    *PAGES,
    ROOT / "CHANGES.txt",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "sessionsite/templates").iterdir()),
    ROOT / "development.ini",
    ROOT / "production.ini",
    *sorted((ROOT / "deploy").iterdir()),
]

# Each has to be read twice, or is a second word for a thing.
PHRASES = {
    r"\bsweep(?!ing\b)\w*": "prune",
    r"(?<![\w-])(some|every|any)body\b": "anyone, another request, all visitors",
    r"\b(?<!anyone )who has\b": "anyone who, the visitor with",
    r"\b(one|once|twice) an? (?!time\b|day\b)\w+": "one per, once per",
    r"\bwho waits\b": "a request that waits",
    r"\bsigning secret\b": "secret",
    r"\bsession's (own )?secret\b": "token",
    r"\bsecrets? (in|inside|of) (a|the) cookies?\b": "token",
    r"\bcookies?'s? secrets?\b": "token",
    r"\bhashed key\b|\bold_key\b|\bold_open\b": "token_hash, old_token_hash, old_token_valid",
}
# Modules that have gone.
GONE = r"\b(outage|pool|lease|headers|facts|details|configuration|words)\.py\b"
LOGGERS = {"sessionsite.sessions.audit"}  # that are no modules
# What a page tells its reader to write, or a program writes.
MADE = {
    "visits.py", "app.js", "walk.ini", "no-session.ini", "own.ini", "RESULTS.svg", "LIBRARIES.md",
    "myapp/sessions.py", "myapp.py", "conftest.py", "env.py", "node_modules/", "source/",
}  # fmt: skip


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The comments and the texts of a module, by line."""
    source = path.read_text("utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, " ".join(node.value.split())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT)).removeprefix("sessionsite/")


def paragraphs(path: Path) -> str:
    """The text with the lines of each paragraph joined, so that no phrase hides in a break.

    Without the names that Sphinx is to document.
    """
    text = re.sub(r"(?m)^\.\. auto.*$", "", path.read_text("utf-8"))
    return re.sub(r"(?<=\S)\n[ >]*(?=[^\s|#`-])", " ", text)


def code_names(path: Path) -> set[str]:
    """What a page has between backquotes, blocks of code aside."""
    text = re.sub(r"(?s)```.*?```", "", path.read_text("utf-8"))
    return set(re.findall(r"`([^`\n]+)`", text))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", path.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_a_text_uses_the_words(path: Path) -> None:
    text = paragraphs(path)
    found = [(m[0], better) for p, better in PHRASES.items() for m in re.finditer(p, text, re.I)]
    assert found == []


def test_comments_and_docstrings_use_the_words() -> None:
    found = {
        (relative(path), match[0]): f"line {line}: {better}"
        for path in CODE
        for line, text in prose(path)
        for phrase, better in PHRASES.items()
        for match in re.finditer(phrase, text, re.I)
    }
    assert found == {}


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_a_text_names_no_module_that_has_gone(path: Path) -> None:
    assert re.findall(GONE, path.read_text("utf-8")) == []


def test_the_code_names_no_module_that_has_gone() -> None:
    assert [path for path in CODE if re.search(GONE, path.read_text("utf-8"))] == []


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_a_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"(?s)```.*?```", "", path.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target


def exists(name: str, page: Path) -> bool:
    """Whether a file is there, from the root, from the page or under a folder of the project."""
    site = ROOT / "sessionsite"
    roots = (ROOT, ROOT / "docs", page.parent, site, site / "sessions")
    return name in MADE or any((root / name).exists() for root in roots)


def test_every_file_that_a_text_names_is_there() -> None:
    missing = []
    names = {path.name for path in CODE}
    for page in PAGES:
        for name in code_names(page):
            if not re.fullmatch(r"[\w./@-]+(\.(py|md|ini|svg|conf|service|txt|json)|/)", name):
                continue
            if not name.startswith((".", "/")) and not (exists(name, page) or name in names):
                missing.append((relative(page), name))
    assert missing == []


def test_every_file_that_the_code_names_is_there() -> None:
    missing = [
        (relative(path), name)
        for path in CODE
        for _, text in prose(path)
        for name in re.findall(r"(?<![\w/.*])[\w/-]+\.(?:py|md|ini)\b", text)
        if not exists(name, path) and not list((ROOT / "sessionsite").rglob(name))
    ]
    assert missing == []


def test_every_make_target_that_a_text_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {name for line in re.findall(r"(?m)^([\w\- ]+):", makefile) for name in line.split()}
    for path in TEXTS:
        named = re.findall(r"(?:`|^    )make\s+([a-z][\w-]*)", path.read_text("utf-8"), re.M)
        assert set(named) <= targets, path


def test_every_dotted_name_of_ours_can_be_found() -> None:
    missing = []
    for path in PAGES:
        for name in re.findall(r"\bsessionsite\.(?:sessions|cli|testing)[\w.]*", path.read_text()):
            parts = name.rstrip(".").split(".")
            module = next(".".join(parts[:n]) for n in range(len(parts), 0, -1) if found(parts[:n]))
            rest = name.rstrip(".").removeprefix(module).strip(".")
            if name.rstrip(".") in LOGGERS:
                continue
            if rest and not hasattr(importlib.import_module(module), rest.partition(".")[0]):
                missing.append((relative(path), name))
    assert missing == []


def found(parts: list[str]) -> bool:
    try:
        return importlib.util.find_spec(".".join(parts)) is not None
    except ModuleNotFoundError:
        return False


def test_the_headings_of_changes_hold_something() -> None:
    text = (ROOT / "CHANGES.txt").read_text("utf-8")
    sections = re.split(r"(?m)^(Features|Bug Fixes|Backward Incompatibilities)\n-+\n", text)
    assert sections[1::2]
    for body in sections[2::2]:
        assert body.strip().startswith("- ")
        assert "None yet" not in body
