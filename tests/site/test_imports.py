"""One direction: which module of ours imports which (docs/architecture.md)."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sessionsite.sessions.server
import sessionsite.sessions.sql
from tests import ROOT as PROJECT

ROOT = Path(sessionsite.__file__).parent
SITE = {"sessions"}  # all that the site asks of the package to lift: its public names
# What each module imports, of ours; the name of a package stands for its __init__.
IMPORTS = {
    "": {"refusal", "secret_file"} | SITE,
    "refusal": SITE,
    "servers": set(),
    "servers.waitress": {"refusal", "servers.draining", "servers.stopping", "sessions.ini"} | SITE,
    "servers.granian": {"refusal", "servers.granian_process", "servers.granian_settings",
                        "servers.prefork", "servers.stopping", "servers.waitress",
                        "sessions.pruner"} | SITE,
    "servers.granian_process": {"servers.draining", "servers.front", "servers.granian_settings",
                                "servers.stopping"},
    "servers.granian_settings": {"servers.waitress", "sessions.ini"} | SITE,
    "servers.front": set(),
    "servers.prefork": {"servers.stopping"},
    "servers.draining": set(),
    "servers.stopping": set(),
    "hosts": {"sessions.ini"},
    "settings": {"hosts", "sessions.ini"},
    "secret_file": {"settings"} | SITE,
    "cookies": set(),
    "gate": {"cookies", "hosts", "security", "views"} | SITE,
    "metrics": {"metrics.including"},
    "metrics.including": {"metrics.instruments", "metrics.otel", "metrics.prometheus",
                          "metrics.settings", "metrics.watching"} | SITE,
    "metrics.settings": {"sessions.ini"},
    "metrics.instruments": set(),
    "metrics.prometheus": {"metrics.instruments", "metrics.settings", "sessions.once"} | SITE,
    "metrics.otel": {"metrics.instruments"},
    "metrics.measured": {"metrics.instruments"} | SITE,
    "metrics.watching": {"metrics.instruments", "metrics.measured"} | SITE,
    "routes": set(),
    "views": {"routes", "session_info"} | SITE,
    "session_info": SITE,
    "rendering": set(),
    "static_files": set(),
    "request": {"history", "routes"},
    "history": SITE,
    "security": SITE,
    "pshell": SITE,
    "development": set(),
    "testing": {
        "testing.contract", "testing.dummy", "testing.owners", "testing.records", "testing.visitor",
    } | SITE,
    "testing.dummy": {"sessions.events", "sessions.server.saving"} | SITE,
    "testing.plugin": {"sessions.store", "testing.visitor"},
    "testing.contract": {
        "testing.ends", "testing.failures", "testing.parallel", "testing.rows", "testing.updates",
    },
    "testing.records": SITE,
    "testing.rows": {"testing.records"} | SITE,
    "testing.owners": {
        "testing.contract", "testing.owner_locks", "testing.records", "testing.rows",
    } | SITE,
    "testing.owner_locks": {"testing.parallel", "testing.records"} | SITE,
    "testing.updates": {"testing.records", "testing.rows"} | SITE,
    "testing.ends": {"testing.records"} | SITE,
    "testing.parallel": {"testing.records"} | SITE,
    "testing.failures": {"testing.records"} | SITE,
    "testing.visitor": set(),
    "cli": {
        "cli.doctor", "cli.group", "cli.new", "cli.secret", "cli.sessions", "cli.table",
    } | SITE,
    "cli.new": {"cli.group"},
    "cli.group": set(),
    "cli.config": {"refusal", "secret_file", "sessions.server", "sessions.sql_settings"} | SITE,
    "cli.secret": {"cli.group"},
    "cli.table": {"cli.config", "cli.group", "sessions.sql"} | SITE,
    "sessions": {
        "sessions.all_sessions", "sessions.description", "sessions.error_page", "sessions.events",
        "sessions.including", "sessions.ini", "sessions.interfaces", "sessions.log_context",
        "sessions.login", "sessions.memory", "sessions.own", "sessions.owner_store",
        "sessions.payload", "sessions.pruner", "sessions.server.factory",
        "sessions.server.session", "sessions.settings", "sessions.store",
    },
    "sessions.including": {
        "sessions.all_sessions", "sessions.ini", "sessions.interfaces", "sessions.log_context",
        "sessions.response", "sessions.store",
    },
    "sessions.interfaces": set(),
    "sessions.forks": set(),
    "sessions.ini": set(),
    "sessions.all_sessions": {
        "sessions.events", "sessions.interfaces", "sessions.owner_store", "sessions.store",
    },
    "sessions.events": {"sessions.log_context"},
    "sessions.log_context": {"sessions.interfaces"},
    "sessions.login": {"sessions.own"},
    "sessions.own": set(),
    "sessions.owner_store": {"sessions.store"},
    "cli.sessions": {"cli.config", "cli.group"} | SITE,
    "sessions.sql.migrations": set(),
    "sessions.sql.migrations.env": set(),
    "sessions.sql.migrations.versions": set(),
    "sessions.sql.migrations.versions.v0001_table": set(),
    "sessions.sql.migrations.versions.v0002_owner": set(),
    "sessions.sql.migrations.versions.v0003_status": set(),
    "sessions.sql.upgrade": {
        "sessions.sql.database", "sessions.sql.engine", "sessions.sql.table", "sessions.sql.values",
        "sessions.store",
    },
    "sessions.pyramid_cookie": {"sessions.ini"},
    "sessions.server.old_factory": {
        "sessions.ini", "sessions.server.old_sessions", "sessions.settings",
        "sessions.sql_settings",
    },
    "sessions.server.old_sessions": {
        "sessions.cookie_header", "sessions.data", "sessions.own", "sessions.payload",
        "sessions.response", "sessions.server.expiry", "sessions.server.token_cookie",
        "sessions.settings", "sessions.store",
    },
    "cli.doctor": {"cli.config", "cli.group", "secret_file", "sessions.sql"} | SITE,
    "sessions.sql.diagnosis": {
        "sessions.data", "sessions.sql.database", "sessions.sql.engine", "sessions.sql.store",
        "sessions.sql.upgrade", "sessions.sql.values", "sessions.store",
    },
    "sessions.sql.postgresql_faults": {
        "sessions.sql.database", "sessions.sql.table", "sessions.store",
    },
    "sessions.sql.pruning": {
        "sessions.owner_store", "sessions.sql.database", "sessions.sql.runner",
    },
    "sessions.store": set(),
    "sessions.payload": set(),
    "sessions.data": {"sessions.own", "sessions.payload"},
    "sessions.cookie_state": {
        "sessions.cookie_header", "sessions.data", "sessions.own", "sessions.payload",
        "sessions.response", "sessions.settings", "sessions.signing",
    },
    "sessions.signing": set(),
    "sessions.sql_settings": {"sessions.ini"},
    "sessions.settings": {"sessions.checks", "sessions.ini", "sessions.sql_settings"},
    "sessions.checks": {"sessions.ini"},
    "sessions.cookie_header": set(),
    "sessions.memory": {"sessions.forks", "sessions.own", "sessions.owner_store", "sessions.store"},
    "sessions.pruner": {
        "sessions.events", "sessions.own", "sessions.owner_store", "sessions.store",
    },
    "sessions.response": {"sessions.settings"},
    "sessions.description": {"sessions.interfaces", "sessions.settings"},
    "sessions.retry": set(),
    "sessions.error_page": {"sessions.store"},
    "sessions.opened": set(),
    "sessions.stream": {
        "sessions.error_page", "sessions.log_context", "sessions.opened", "sessions.payload",
        "sessions.store",
    },
    "sessions.opening": {
        "sessions.cookie_header", "sessions.error_page", "sessions.opened", "sessions.payload",
        "sessions.store", "sessions.stream",
    },
    "sessions.policy": {
        "sessions.error_page", "sessions.events", "sessions.hosting", "sessions.interfaces",
        "sessions.once", "sessions.opened", "sessions.payload", "sessions.pruner",
        "sessions.response", "sessions.retry", "sessions.store", "sessions.stream",
    },
    "sessions.tween": {"sessions.error_page"},
    "sessions.cookie": {
        "sessions.checks", "sessions.cookie_session", "sessions.cookie_state",
        "sessions.description", "sessions.interfaces", "sessions.opening", "sessions.settings",
        "sessions.store",
    },
    "sessions.cookie_session": {
        "sessions.cookie_state", "sessions.data", "sessions.interfaces", "sessions.own",
        "sessions.payload", "sessions.response", "sessions.settings", "sessions.store",
    },
    "sessions.hosting": set(),
    "sessions.once": {"sessions.forks"},
    "sessions.server": {"sessions.server.from_settings"},
    "sessions.server.from_settings": {
        "sessions.ini", "sessions.owner_store", "sessions.server.factory",
        "sessions.server.old_factory", "sessions.settings", "sessions.sql", "sessions.sql_settings",
        "sessions.store",
    },
    "sessions.server.factory": {
        "sessions.description", "sessions.events", "sessions.interfaces", "sessions.opening",
        "sessions.own", "sessions.server.availability", "sessions.server.expiry",
        "sessions.server.health", "sessions.server.old_sessions", "sessions.server.saving",
        "sessions.server.session", "sessions.server.standing", "sessions.server.token_cookie",
        "sessions.settings", "sessions.store",
    },
    "sessions.server.session": {
        "sessions.data", "sessions.interfaces", "sessions.own", "sessions.payload",
        "sessions.response", "sessions.retry", "sessions.server.old_sessions",
        "sessions.server.saving", "sessions.server.token_cookie", "sessions.store",
    },
    "sessions.server.rotation": {
        "sessions.payload", "sessions.server.expiry", "sessions.server.token_cookie",
        "sessions.store",
    },
    "sessions.server.standing": {
        "sessions.server.expiry", "sessions.server.token_cookie", "sessions.store",
    },
    "sessions.server.row": {
        "sessions.data", "sessions.events", "sessions.own", "sessions.payload",
        "sessions.server.availability", "sessions.server.conflict", "sessions.server.expiry",
        "sessions.server.merge", "sessions.server.rotation", "sessions.server.token_cookie",
        "sessions.settings", "sessions.store",
    },
    "sessions.server.saving": {
        "sessions.events", "sessions.owner_store", "sessions.payload", "sessions.server.conflict",
        "sessions.server.owner_limit", "sessions.server.rotation", "sessions.server.row",
        "sessions.server.token_cookie", "sessions.store",
    },
    "sessions.server.token_cookie": {
        "sessions.cookie_header", "sessions.response", "sessions.settings", "sessions.signing",
    },
    "sessions.server.availability": {"sessions.events", "sessions.forks", "sessions.store"},
    "sessions.server.expiry": {"sessions.own", "sessions.settings", "sessions.store"},
    "sessions.server.owner_limit": {"sessions.owner_store", "sessions.settings", "sessions.store"},
    "sessions.server.conflict": {"sessions.server.merge", "sessions.store"},
    "sessions.server.health": {
        "sessions.forks", "sessions.server.availability", "sessions.store", "sessions.waiting",
    },
    "sessions.server.merge": {"sessions.payload", "sessions.server.subsequence"},
    "sessions.server.subsequence": {"sessions.store"},
    "sessions.sql": {
        "sessions.sql.creation", "sessions.sql.database", "sessions.sql.diagnosis",
        "sessions.sql.engine", "sessions.sql.from_settings", "sessions.sql.store",
        "sessions.sql.table", "sessions.sql.upgrade", "sessions.sql_settings",
    },
    "sessions.sql.from_settings": {
        "sessions.sql.creation", "sessions.sql.engine", "sessions.sql.store", "sessions.sql.table",
        "sessions.sql_settings",
    },
    "sessions.sql.connecting": {"sessions.forks"},
    "sessions.sql.runner": {
        "sessions.forks", "sessions.sql.connections", "sessions.sql.database",
        "sessions.sql.engine", "sessions.sql.statements", "sessions.sql.store_pool",
        "sessions.sql.values", "sessions.store",
    },
    "sessions.sql.store": {
        "sessions.owner_store", "sessions.sql.connections", "sessions.sql.database",
        "sessions.sql.pruning", "sessions.sql.statements", "sessions.sql.status",
        "sessions.sql.upgrade", "sessions.store",
    },
    "sessions.sql.creation": {
        "sessions.sql.engine", "sessions.sql.table", "sessions.sql.upgrade", "sessions.sql.values",
        "sessions.store",
    },
    "sessions.sql.engine": {
        "sessions.ini", "sessions.sql.database", "sessions.sql.postgresql", "sessions.sql.sqlite",
        "sessions.sql.store_pool", "sessions.waiting", "sessions.sql_settings",
    },
    "sessions.sql.statements": {
        "sessions.own", "sessions.owner_store", "sessions.sql.database", "sessions.sql.values",
        "sessions.store",
    },
    "sessions.sql.connections": {
        "sessions.breaker", "sessions.sql.database", "sessions.sql.store_pool",
        "sessions.store",
    },
    "sessions.sql.store_pool": {"sessions.forks", "sessions.sql.values", "sessions.waiting"},
    "sessions.sql.postgresql": {
        "sessions.ini", "sessions.sql.connecting", "sessions.sql.database", "sessions.sql.libpq",
        "sessions.sql.postgresql_faults", "sessions.sql.prepared", "sessions.sql.session_settings",
        "sessions.sql.store_pool",
    },
    "sessions.sql.sqlite": {
        "sessions.ini", "sessions.sql.database", "sessions.sql.values", "sessions.waiting",
        "sessions.store",
    },
    "sessions.sql.libpq": {
        "sessions.forks", "sessions.sql.session_settings", "sessions.waiting",
    },
    "sessions.sql.session_settings": set(),
    "sessions.sql.table": set(),
    "sessions.sql.database": set(),
    "sessions.sql.prepared": {"sessions.sql.libpq", "sessions.sql.values", "sessions.store"},
    "sessions.sql.status": {
        "sessions.sql.connections", "sessions.sql.pruning", "sessions.sql.statements",
        "sessions.sql.table", "sessions.store",
    },
    "sessions.sql.values": set(),
    "sessions.breaker": {"sessions.store", "sessions.waiting"},
    "sessions.waiting": {"sessions.forks", "sessions.store"},
    "sessions.valkey": {
        "sessions.valkey.from_settings", "sessions.valkey.settings", "sessions.valkey.store",
    },
    "sessions.valkey.from_settings": {
        "sessions.server.factory", "sessions.server.old_factory", "sessions.settings",
        "sessions.valkey.settings", "sessions.valkey.store",
    },
    "sessions.valkey.settings": {"sessions.ini"},
    "sessions.valkey.store": {
        "sessions.owner_store", "sessions.store", "sessions.valkey.client",
        "sessions.valkey.keys", "sessions.valkey.locking", "sessions.valkey.owners",
        "sessions.valkey.pruning", "sessions.valkey.rows", "sessions.valkey.scanning",
        "sessions.valkey.scripts", "sessions.valkey.sessions", "sessions.valkey.settings",
        "sessions.valkey.transaction",
    },
    "sessions.valkey.transaction": {
        "sessions.store", "sessions.valkey.owners", "sessions.valkey.sessions",
    },
    "sessions.valkey.pruning": {
        "sessions.store", "sessions.valkey.owners", "sessions.valkey.rows",
        "sessions.valkey.scanning", "sessions.valkey.sessions",
    },
    "sessions.valkey.scanning": {
        "sessions.own", "sessions.owner_store", "sessions.store", "sessions.valkey.client",
        "sessions.valkey.keys", "sessions.valkey.rows",
    },
    "sessions.valkey.owners": {
        "sessions.own", "sessions.store", "sessions.valkey.client", "sessions.valkey.keys",
        "sessions.valkey.locking", "sessions.valkey.rows", "sessions.valkey.scripts",
    },
    "sessions.valkey.sessions": {
        "sessions.store", "sessions.valkey.client", "sessions.valkey.keys",
        "sessions.valkey.locking", "sessions.valkey.rows", "sessions.valkey.scripts",
    },
    "sessions.valkey.locking": {
        "sessions.store", "sessions.valkey.scripts", "sessions.waiting",
    },
    "sessions.valkey.client": {
        "sessions.breaker", "sessions.forks", "sessions.store", "sessions.valkey.answers",
        "sessions.valkey.nodes", "sessions.valkey.scripts", "sessions.valkey.settings",
        "sessions.waiting",
    },
    "sessions.valkey.nodes": {"sessions.valkey.answers"},
    "sessions.valkey.answers": {"sessions.breaker", "sessions.waiting"},
    "sessions.valkey.keys": {"sessions.valkey.rows"},
    "sessions.valkey.rows": {"sessions.store"},
    "sessions.valkey.scripts": set(),
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported_by(path: Path) -> set[str]:
    """Return the modules of ours that `path` imports, anywhere, for type checking included."""
    package = ["sessionsite", *path.relative_to(ROOT).parts[:-1]]
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("sessionsite") for alias in node.names)
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        if module.split(".")[0] != "sessionsite":
            continue
        name = module.removeprefix("sessionsite").lstrip(".")
        below = {f"{name}.{alias.name}".lstrip(".") for alias in node.names} & MODULES.keys()
        imported |= below or {name}
    return imported


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_is_listed_and_nothing_else(name: str) -> None:
    assert imported_by(MODULES[name]) == IMPORTS[name]


def test_the_list_names_no_module_that_does_not_exist() -> None:
    assert IMPORTS.keys() == MODULES.keys()
    assert set().union(*IMPORTS.values()) <= MODULES.keys()


def test_no_imports_go_in_a_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError


def test_the_sessions_know_nothing_of_the_site() -> None:
    for name in MODULES:
        if name.startswith("sessions"):
            assert all(other.startswith("sessions") for other in IMPORTS[name]), name


def test_a_store_of_ones_own_loads_no_database_driver() -> None:
    code = (
        "import sys; before = set(sys.modules); "  # `make coverage` loads sqlite3 before
        "import sessionsite.sessions.server.factory, sessionsite.testing.plugin; "
        "loaded = sys.modules.keys() - before; "
        "print([n for n in ('sqlalchemy', 'psycopg', 'sqlite3') if n in loaded])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for package in (sessionsite.sessions, sessionsite.sessions.server, sessionsite.sessions.sql):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_the_document_lists_every_module() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    for path in MODULES.values():
        package = path.stem == "__init__"
        assert (f"{path.parent.name}/" if package else f"{path.name}`") in text, path


def test_a_request_is_followed_through_the_document_without_going_back() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    table = text[text.index("| file | on the way in |") :].partition("\n\n")[0]
    names = [
        (path.replace("/", "."), row)
        for row, line in enumerate(table.splitlines()[2:])
        for path in re.findall(r"`([a-z_/]+)\.py`", line.split("|")[1])
    ]
    places = {n if n in MODULES else f"sessions.sql.{n}": row for n, row in names}
    assert len(places) >= 15
    assert places.keys() <= MODULES.keys()
    back = [
        (name, other)
        for name, row in places.items()
        for other in IMPORTS[name] & places.keys() - {"sessions.store"}  # it runs nothing
        if places[other] < row
    ]
    assert back == []


def test_no_module_is_over_300_lines() -> None:
    lengths = {name: path.read_text().count("\n") for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
