"""The tests' own rules: what a module may import, and what it may be called."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

TESTS = ROOT / "tests"
MODULES = sorted(TESTS.rglob("*.py"))
TEST_MODULES = {path.stem for path in MODULES if path.name.startswith("test_")}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, source: str) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden(path: Path, source: str) -> set[str]:
    """What a module imports from a conftest or from a test module."""
    return {
        name
        for name in imported(path, source)
        for part in name.split(".")
        if name.startswith("tests.") and (part == "conftest" or part in TEST_MODULES)
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_imported_from_a_conftest_or_a_test_module(path: Path) -> None:
    assert forbidden(path, path.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import tests.conftest",
        "from tests import conftest",
        "from tests.conftest import postgres",
        "from .. import conftest",
        "def late():\n    from tests.harness.test_install import Machine",
        "from .test_install import Machine",
    ],
)
def test_an_import_of_that_kind_is_found(source: str) -> None:
    assert forbidden(TESTS / "harness" / "test_layout.py", source)


def test_nothing_is_called_unit() -> None:
    """Whether a test starts a server is said by its marker, not by its place."""
    names = {part for path in MODULES for part in name_of(path).split(".")}
    assert not names & {"unit", "units", "test_unit", "test_units"}


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "conftest.py"], ids=name_of)
def test_a_conftest_holds_fixtures_and_hooks_alone(path: Path) -> None:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("pytest_"):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            assert any(name.startswith("pytest.fixture") for name in decorators), node.name
        assert not isinstance(node, ast.ClassDef)
