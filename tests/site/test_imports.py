"""One direction: which module of ours may import which (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import sessionsite

ROOT = Path(sessionsite.__file__).parent
# What each module may import, of ours; `sessions.*` are the modules of the package to lift.
MAY_IMPORT = {
    "__init__": {"settings"},
    "settings": {"sessions.configuration"},
    "routes": set(),
    "views": {
        "routes", "session_info", "sessions", "sessions.store", "sessions.tween",
    },
    "session_info": {"sessions.facts"},
    "static_files": set(),
    "request": {"history", "routes"},
    "history": {"sessions"},
    "security": {"sessions"},
    "pshell": set(),
    "development": set(),
    "cli.__init__": {"cli", "cli.config", "cli.group"},
    "cli.group": set(),
    "cli.secret": {"cli.group"},
    "cli.table": {"cli.config", "cli.group"},
    "cli.config": {
        "sessions", "sessions.configuration", "sessions.server", "sessions.settings",
        "sessions.sql", "sessions.store", "sessions.sweeper", "sessions.table",
    },
    "testing": {"sessions.memory", "sessions.store"},
    "sessions.__init__": {"sessions.configuration", "sessions.headers", "sessions.sweeper"},
    "sessions.configuration": set(),
    "sessions.settings": {"sessions.configuration"},
    "sessions.facts": {"sessions.settings"},
    "sessions.cookie": {
        "sessions.facts", "sessions.headers", "sessions.payload", "sessions.settings",
        "sessions.signing",
    },
    "sessions.signing": set(),
    "sessions.payload": {"sessions.merge"},
    "sessions.headers": {"sessions.settings"},
    "sessions.merge": set(),
    "sessions.data": set(),
    "sessions.store": set(),
    "sessions.memory": {"sessions.store"},
    "sessions.engine": {
        "sessions.configuration", "sessions.pool", "sessions.postgresql", "sessions.settings",
        "sessions.sqlite",
    },
    "sessions.pool": set(),
    "sessions.lease": {
        "sessions.outage", "sessions.pool", "sessions.postgresql", "sessions.store",
    },
    "sessions.postgresql": {"sessions.table"},
    "sessions.sqlite": {"sessions.table"},
    "sessions.table": {"sessions.store"},
    "sessions.outage": {"sessions.store"},
    "sessions.statements": {
        "sessions.postgresql", "sessions.sqlite", "sessions.store", "sessions.table",
    },
    "sessions.sql": {
        "sessions.engine", "sessions.lease", "sessions.outage", "sessions.settings",
        "sessions.statements", "sessions.store", "sessions.table",
    },
    "sessions.session": {
        "sessions.data", "sessions.headers", "sessions.payload", "sessions.store",
    },
    "sessions.server": {
        "sessions.facts", "sessions.headers", "sessions.session", "sessions.settings",
        "sessions.signing", "sessions.sql", "sessions.store",
    },
    "sessions.sweeper": {"sessions.store"},
    "sessions.tween": {"sessions.payload", "sessions.store"},
}  # fmt: skip


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=name_of)
def test_a_module_imports_no_more_than_it_may(path: Path) -> None:
    package = ["sessionsite", *path.relative_to(ROOT).parts[:-1]]
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    imported = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or id(node) in typing_only:
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        if module.split(".")[0] == "sessionsite":
            imported.add(module.removeprefix("sessionsite").lstrip("."))
    assert imported <= MAY_IMPORT[name_of(path)]


def test_no_module_is_over_300_lines() -> None:
    long = {
        name_of(p): n for p in ROOT.rglob("*.py") if (n := len(p.read_text().split("\n"))) > 301
    }
    assert long == {}
