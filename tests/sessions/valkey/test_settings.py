"""The keys of the store on Valkey or Redis, and the factory that has a dotted name."""

from typing import Any

import pytest

from sessionsite.sessions import ConfigurationError, expand_environment, session_factory
from sessionsite.sessions.cookie import session_factory_from_settings as cookie_factory
from sessionsite.sessions.server import session_factory_from_settings as server_factory
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.valkey import ValkeyStore, valkey_settings
from tests.docs.blocks import SECRET, blocks, settings_of, take_one
from tests.harness.redis import ALLOWED

NAME = "sessionsite.sessions.valkey.session_factory_from_settings"
DOCUMENTED = take_one("valkey.md", "On Valkey or Redis", "ini")


def settings(**values: Any) -> dict[str, Any]:
    keys = {"url": "redis://localhost", **values}
    return {f"session.valkey.{name}": value for name, value in keys.items()}


def test_the_lines_of_the_document_make_the_factory() -> None:
    read = settings_of(DOCUMENTED, SESSION_SECRET=SECRET)
    factory: Any = session_factory(expand_environment(read))
    assert isinstance(factory, ServerSessionFactory)
    assert isinstance(factory.store, ValkeyStore)
    assert factory.store.settings.urls == ("redis://127.0.0.1:6379/0",)


def test_the_tests_user_has_the_commands_of_the_document() -> None:
    (rule,) = [each for each in blocks("valkey.md") if "ACL SETUSER" in each.code]
    assert rule.code.split()[6:] == ALLOWED.split()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("valkey://host", "redis://host"),
        ("valkeys://u:p@host:1/2", "rediss://u:p@host:1/2"),
        ("rediss://host?ssl_ca_certs=/ca.pem", "rediss://host?ssl_ca_certs=/ca.pem"),
        ("redis://a:1 valkey://b:2/0", "redis://a:1 redis://b:2/0"),
    ],
)
def test_a_url_may_have_either_name(url: str, expected: str) -> None:
    assert " ".join(valkey_settings(settings(url=url)).urls) == expected


@pytest.mark.parametrize(
    "url",
    ["host:6379", "http://host", "redis://", "redis://host/zero", "redis://host:0",
     "redis://host:x", "redis://host?timeout=3", "redis://[host", "redis://u:secret@host/a",
     "rediss://host?ssl_bogus=1", "redis://host?ssl_ca_certs=/ca.pem", "rediss://h?ssl_cert_reqs=x",
     "unix:///run/valkey.sock", "redis://host,other"],
)  # fmt: skip
def test_another_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.valkey\.url: give valkey://") as error:
        valkey_settings(settings(url=url))
    assert url not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url": ""}, r"session\.valkey\.url = '': is required: give valkey://"),
        ({"prefix": "a{b}"}, r"session\.valkey\.prefix = 'a\{b\}': give 1 to 64 characters"),
        ({"prefix": "x" * 65}, r"session\.valkey\.prefix"),
        ({"cluster": "maybe"}, r"session\.valkey\.cluster = 'maybe': give true or false, or auto"),
        ({"url": "redis://a redis://b", "cluster": "no"}, r"session\.valkey\.cluster.*several"),
        ({"url": "redis://a/1 redis://b"}, r"session\.valkey\.url: a cluster has no number but 0"),
        ({"url": "redis://a/1", "cluster": "yes"}, r"session\.valkey\.url: a cluster has no num"),
        ({"tiemout": "3"}, r"session\.valkey\.tiemout: is not a setting: did you mean"),
        ({"timeout": "0"}, r"session\.valkey\.timeout = '0'"),
    ],
)
def test_what_is_wrong_is_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        valkey_settings(settings(**values))


def test_no_password_is_in_the_settings_text() -> None:
    assert "secret" not in repr(valkey_settings(settings(url="redis://:secret@host")))


@pytest.mark.parametrize(
    ("make", "others"),
    [(cookie_factory, {}), (server_factory, {"session.sqlalchemy.url": "sqlite:///x"})],
)
def test_another_factory_refuses_the_keys(make: Any, others: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.valkey\.url: is"):
        make({"session.secret": SECRET, **others, **settings()})


def test_the_keys_of_the_sql_store_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"sql\.table: is the SQL store's"):
        session_factory(
            {
                "sessionsite.session_factory": NAME,
                "session.secret": SECRET,
                "session.sql.table": "x",
                **settings(),
            }
        )
