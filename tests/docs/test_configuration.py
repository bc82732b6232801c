"""docs/configuration.md says what the code reads: every key, its default, nothing else."""

import inspect
import re
from dataclasses import MISSING, Field, fields
from typing import Any

import pytest
from sqlalchemy.pool import Pool, QueuePool

from sessionsite.metrics.settings import MetricsSettings
from sessionsite.servers.granian_settings import GranianSettings
from sessionsite.servers.waitress import StopSettings
from sessionsite.sessions import ConfigurationError, expand_environment
from sessionsite.sessions.ini import keys_of
from sessionsite.sessions.settings import (
    SERVER_ONLY,
    CookieSettings,
    ServerSettings,
    cookie_settings,
    server_settings,
)
from sessionsite.sessions.sql import make_engine
from sessionsite.sessions.sql_settings import SQL_KEYS, SQLSettings, sql_settings
from sessionsite.sessions.valkey import ValkeySettings
from sessionsite.settings import SiteSettings
from tests import ROOT

DOCUMENT = (ROOT / "docs" / "configuration.md").read_text("utf-8")
SECRET = "Wv3s1rZ0pYc8QkN6fUe2HjXa7LtGbM4d"
COOKIE = {"session.secret": SECRET}
SERVER = {**COOKIE, "session.sqlalchemy.url": "postgresql://"}
ENGINE = "session.sqlalchemy."

# Every key that the code describes, to the field that it is read into.
KNOWN: dict[str, Field[Any]] = {
    f"{prefix}{name}": field
    for prefix, settings in (
        ("session.", ServerSettings),
        ("session.", CookieSettings),
        ("session.", SQLSettings),
        ("session.", ValkeySettings),
        ("sessionsite.", SiteSettings),
        ("sessionsite.metrics.", MetricsSettings),
        ("", StopSettings),
        ("", GranianSettings),
    )
    for name, field in keys_of(settings).items()
}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def tables() -> list[tuple[list[str], list[list[str]]]]:
    """The document's tables: the cells of the head, and those of each row."""
    found = re.findall(r"(?m)^(\|.*)\n\|[-|]+\n((?:\|.*\n)+)", DOCUMENT)
    return [(_cells(head), [_cells(row) for row in rows.splitlines()]) for head, rows in found]


# key, default as it is written, the other cells
ROWS = {row[0].strip("`"): row[1:] for head, rows in tables() if head[0] == "key" for row in rows}


def written(default: Any) -> str:
    """Return a default as the document writes it."""
    if default is MISSING:
        return "required"
    if default in ("", ()):
        return "empty"
    return f"`{default if isinstance(default, str) else str(default).lower()}`"


def test_every_key_of_the_code_is_in_the_document_and_no_other() -> None:
    assert {key for key in ROWS if not key.startswith(ENGINE)} == KNOWN.keys()


def test_no_field_of_the_settings_lacks_a_key() -> None:
    classes = (ServerSettings, SQLSettings, ValkeySettings, SiteSettings)
    for settings in (*classes, MetricsSettings, GranianSettings):
        described = {field.name for field in keys_of(settings).values()}
        assert {field.name for field in fields(settings)} - described <= {"engine"}


@pytest.mark.parametrize("key", sorted(KNOWN))
def test_a_row_says_what_the_code_says(key: str) -> None:
    described = KNOWN[key].metadata["key"]
    default, unit, express, meaning = ROWS[key]
    assert default == (described.default or written(KNOWN[key].default))
    assert unit == described.kind.unit
    assert express
    assert meaning == described.meaning


@pytest.mark.parametrize("key", sorted(keys_of(CookieSettings).keys() - {"secret"}))
def test_both_factories_have_the_same_default(key: str) -> None:
    name = keys_of(CookieSettings)[key].name
    ours = getattr(cookie_settings(COOKIE), name)
    assert ours == getattr(server_settings(SERVER), name) == KNOWN[f"session.{key}"].default


@pytest.mark.parametrize("key", ["session.secret", "session.sqlalchemy.url"])
def test_a_required_key_is_documented_as_such_and_refused_where_it_is_missing(key: str) -> None:
    assert ROWS[key][0] == "required"
    settings = {k: v for k, v in SERVER.items() if k != key}
    with pytest.raises(ConfigurationError, match=f"{key}.* is required"):
        sql_settings(settings) and server_settings(settings)


def test_reissue_time_is_a_tenth_of_a_short_timeout() -> None:
    assert "a tenth of `session.timeout`" in ROWS["session.reissue_time"][0]
    assert cookie_settings({**COOKIE, "session.timeout": "300"}).reissue_time == 30


def test_the_engine_has_the_defaults_of_the_document() -> None:
    pool = make_engine(sql_settings(SERVER)).pool
    assert isinstance(pool, QueuePool)
    options = {**inspect.signature(Pool).parameters, **inspect.signature(QueuePool).parameters}
    defaults = {
        ENGINE + name: str(options[name.removeprefix(prefix)].default).lower()
        for name, prefix in {
            "pool_size": "",
            "max_overflow": "",
            "pool_recycle": "pool_",
            "pool_pre_ping": "pool_",
        }.items()
    }
    documented = {k: row[0].strip("`") for k, row in ROWS.items() if k.startswith(ENGINE)}
    assert documented == defaults | {
        f"{ENGINE}url": "required",
        f"{ENGINE}pool_timeout": "0.9 of `session.sql.timeout",
        f"{ENGINE}max_overflow": "0",
    }
    assert pool._max_overflow == 0
    assert pool.size() == int(defaults[f"{ENGINE}pool_size"])
    assert pool.timeout() == 0.9 * sql_settings(SERVER).timeout


def test_what_is_documented_as_absent_is_refused() -> None:
    (absent,) = [rows for head, rows in tables() if head == ["Express", "here", "why"]]
    names = [row[0].strip("`") for row in absent]
    assert names == ["resave", "saveUninitialized", "rolling"]
    for name in names:
        with pytest.raises(ConfigurationError, match=f"session.{name}: is not a setting"):
            server_settings({**SERVER, f"session.{name}": "false"})


def test_the_text_names_no_key_that_nobody_knows() -> None:
    text = DOCUMENT[: DOCUMENT.index("## Other packages' factories")]
    text = re.sub(r"(?s)## What is refused at start.*?\n## ", "## ", text)  # wrong ones on purpose
    named = {
        name
        for name in re.findall(r"\b(?:session|sessionsite)\.[a-z_]+(?:\.[a-z_]+)*\b", text)
        if not name.startswith("sessionsite.sessions") and not name.endswith(".resave")
    }
    others = {"sessionsite.metrics", "sessionsite.settings", "session.id", "session.regenerate"}
    assert named - others <= ROWS.keys() | {
        "session.sqlalchemy",
        "session.old",
        "session.valkey",
    }


@pytest.mark.parametrize("key", sorted(f"session.{k}" for k in SERVER_ONLY | SQL_KEYS))
def test_the_cookie_factory_refuses_the_keys_of_the_server_factory(key: str) -> None:
    assert key in DOCUMENT[DOCUMENT.index("## Keys of the server factory") :]
    with pytest.raises(ConfigurationError, match=f"{key}: is the server factory's"):
        cookie_settings({**COOKIE, key: "1"})


def test_every_variable_of_production_ini_is_documented_with_its_default() -> None:
    ini = (ROOT / "production.ini").read_text("utf-8")
    used = re.findall(r"(?m)^([a-z_.]+) = \$\{(\w+)(?::-([^}]*))?\}$", ini)
    (rows,) = [rows for head, rows in tables() if head[:3] == ["variable", "default", "key"]]
    documented = {
        (row[2].strip("`"), row[0].strip("`"), re.sub("^(required|empty)$", "", row[1].strip("`")))
        for row in rows
    }
    assert documented == set(used)


def test_an_unset_variable_is_refused_in_the_words_of_the_document() -> None:
    with pytest.raises(ConfigurationError) as raised:
        expand_environment({"session.secret": "${SESSION_SECRET}"}, {})
    assert str(raised.value) in DOCUMENT
