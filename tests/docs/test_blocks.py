"""Every block of code in the README and the docs is run by a test, or says why not."""

import importlib
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment

from sessionsite.metrics.settings import metrics_settings
from sessionsite.sessions import server_settings
from tests import ROOT
from tests.docs.blocks import (
    OUTPUT,
    PAGES,
    SECRET,
    Block,
    blocks,
    settings_of,
    take,
    take_one,
    taken,
)
from tests.docs.shell import Shell, commands

EXPAND = take_one("configuration.md", "In .ini values", "python")
NEW_SECRET = take_one("configuration.md", "Rotating the secret", "console")
NEW_KEY = take_one("configuration.md", "Other packages' factories", "console")
MIGRATION = take_one("migrating.md", "From another session factory", "ini")
OWNER = take_one("migrating.md", "What happens to a visitor", "python")
METRICS = take_one("operations.md", "Metrics", "ini")
KEYS = [
    *take("configuration.md", "Rotation by time"),
    *take("operations.md", "Floods and bots", "ini"),
]
ALL = [block for page in PAGES for block in blocks(page.name)]
# Where blocks are run from, beside this folder's tests.
ELSEWHERE = (
    "contract.accounts",
    "sessions.sql.test_sharded",
    "sessions.sql.test_table",
    "sessions.valkey.test_settings",
    "functional.test_flood",
    "functional.test_app_servers",
)


def name_of(block: Block) -> str:
    return f"{block.page}-{block.heading}-{block.language}"


def test_every_block_is_run_or_says_why_not() -> None:
    tests = [f"docs.{path.stem}" for path in (ROOT / "tests/docs").glob("test_*.py")]
    for name in (*tests, *ELSEWHERE):
        importlib.import_module(f"tests.{name}")
    lost = [block for block in ALL if block.language not in OUTPUT and block.reason is None]
    assert [name_of(block) for block in lost if block not in taken] == []
    assert len(taken) > 70


def test_a_reason_says_something_true() -> None:
    reasons = [block.reason for block in ALL if block.reason is not None]
    assert reasons
    for reason in reasons:
        assert len(reason) > 10
        for name in re.findall(r"tests/[\w/]+\.py", reason):
            assert (ROOT / name).exists()


def test_the_docs_have_no_block_without_a_language() -> None:
    assert [name_of(block) for block in ALL if not block.language] == []
    for path in PAGES[1:]:
        text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text("utf-8"))
        assert re.findall(r"(?m)(?<=\n\n)    \S.*$", text) == [], path


@pytest.mark.parametrize("block", ALL, ids=name_of)
def test_a_block_is_well_formed(block: Block) -> None:
    """What no test runs as well."""
    code = block.code
    match block.language:
        case "python":
            compile(code, name_of(block), "exec")
        case "sh" | "console":
            lines = [line for line, _ in commands(code)] if block.language == "console" else [code]
            subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, check=True)
        case "ini":
            text = code if re.search(r"(?m)^\[", code) else f"[app:main]\n{code}"
            ConfigParser(interpolation=None).read_string(text)
        case "yaml":
            assert yaml.safe_load(code)
        case "jinja":
            Environment(autoescape=True).parse(code)
        case language:
            assert language in ("sql", "postgresql", "nginx", *OUTPUT)


@pytest.mark.parametrize("block", KEYS, ids=name_of)
def test_the_lines_of_ini_are_settings(block: Block) -> None:
    settings = settings_of(block.code)
    read = server_settings({"session.secret": SECRET, **settings})
    for key, value in settings.items():
        assert getattr(read, key.removeprefix("session.")) == int(value)


def test_an_app_of_ones_own_expands_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(EXPAND, names)
    name = "sessionsite.sessions.cookie.session_factory_from_settings"
    settings = {"sessionsite.session_factory": name, "session.secret": "${SESSION_SECRET}"}
    app = names["main"]({}, **settings)
    assert app.registry.settings["session.secret"] == SECRET


def test_the_commands_that_make_secrets_make_them(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for block in (NEW_SECRET, NEW_KEY):
        shell.run("\n".join(line for line, _ in commands(block)) + "\nexport SESSION_SECRET")
    assert len(shell.env["SESSION_SECRET"]) >= 32
    assert len(bytes.fromhex(shell.env["SESSION_KEY"])) == 32


def test_the_lines_of_a_migration_name_what_is_there() -> None:
    variables = {"SESSION_SECRET": SECRET, "DATABASE_URL": "postgresql://", "OLD_SECRET": "old"}
    read = server_settings(settings_of(MIGRATION, **variables))
    assert read.migrate_from == "pyramid_nacl_session.session_factory_from_settings"
    assert read.migrate_owner == "myapp.sessions.owner"
    names: dict[str, Any] = {}
    exec(OWNER, names)
    assert names["owner"](None, {"user": 42}) == "user:42"
    assert names["owner"](None, {}) is None


def test_the_lines_of_the_metrics_are_read() -> None:
    settings = settings_of(METRICS.replace("1%(http_port)s", "16544"))
    assert settings.pop("pyramid.includes") == "sessionsite.metrics"
    assert str(metrics_settings(settings).listen).count("16544")
