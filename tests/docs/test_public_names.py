"""What `__all__` lists is public, and documented; nothing else is to be had from a package."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from zope.interface.interface import InterfaceClass

import sessionsite.metrics
import sessionsite.sessions.server
import sessionsite.sessions.sql
import sessionsite.testing
from tests import ROOT

PACKAGES = [
    sessionsite.sessions,
    sessionsite.sessions.server,
    sessionsite.sessions.sql,
    sessionsite.testing,
    sessionsite.metrics,
]
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
IDS = [f"{package.__name__}.{name}" for package, name in NAMES]
CODE = sorted(Path(sessionsite.__file__).parent.rglob("*.py"))


def described(body: list[ast.stmt]) -> Iterator[str]:
    """The names in a module or a class that a text says something of, in the line below."""
    for node, text in pairwise(body):
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Assign):
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))


CONSTANTS = {name for path in CODE for name in described(ast.parse(path.read_text("utf-8")).body)}


def undocumented(thing: Any) -> Iterator[str]:
    """What of a class has no text: the class, its public methods and properties, its fields.

    The tests of a contract say what they hold by their names.
    """
    text = vars(thing).get("__doc__")  # that of another class does not count
    if not text or text.startswith(f"{thing.__name__}("):  # a dataclass is given one
        yield thing.__name__
    ours = [each for each in thing.__mro__ if each.__module__.startswith("sessionsite")]
    for name in (name for name in dir(thing) if not name.startswith(("_", "test_"))):
        found = [vars(each)[name] for each in thing.__mro__ if name in vars(each)]
        method = callable(found[0]) or isinstance(found[0], property | classmethod | staticmethod)
        if method and not any(inspect.getdoc(each) for each in found):
            yield name
    if is_dataclass(thing):
        bodies = [ast.parse(inspect.getsource(each)).body[0] for each in ours]
        texts = {n for b in bodies if isinstance(b, ast.ClassDef) for n in described(b.body)}
        yield from (f.name for f in fields(thing) if {f.name} - texts and "key" not in f.metadata)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.__name__))
def test_a_package_holds_its_public_names_and_no_other(package: ModuleType) -> None:
    there = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there == set(package.__all__)
    assert sorted(package.__all__, key=str.lower) == sorted(set(package.__all__), key=str.lower)


@pytest.mark.parametrize(("package", "name"), NAMES, ids=IDS)
def test_a_public_name_is_documented(package: ModuleType, name: str) -> None:
    thing = getattr(package, name)
    if isinstance(thing, InterfaceClass):
        assert thing.__doc__
        assert [each for each in thing.names() if not thing[each].__doc__] == []
    elif inspect.isclass(thing):
        assert list(undocumented(thing)) == []
    elif callable(thing):
        assert inspect.getdoc(thing)
    else:
        assert name in CONSTANTS


@pytest.mark.parametrize(("package", "name"), NAMES, ids=IDS)
def test_a_public_name_is_in_the_reference(package: ModuleType, name: str) -> None:
    (section,) = re.findall(
        rf"(?s)module:: {re.escape(package.__name__)}\n(.*?)(?=\n\.\. \w*module::|\Z)", REFERENCE
    )
    assert (
        re.search(rf"(?m)^\.\. auto\w+:: {name}\b", section)
        or f"`{package.__name__}.{name}`" in section
        or (
            ":imported-members:" in section  # all that `__all__` lists, constants aside
            and callable(getattr(package, name))
        )
    )


def test_the_reference_names_nothing_else() -> None:
    sections = re.split(r"(?m)^\.\. \w*module:: ([\w.]+)\n", REFERENCE)
    for package, section in zip(sections[1::2], sections[2::2], strict=True):
        named = re.findall(r"(?m)^\.\. auto\w+:: (\w+)(?:\(\))?$", section)
        assert set(named) <= set(importlib.import_module(package).__all__)
