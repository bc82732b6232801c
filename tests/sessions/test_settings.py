"""Settings of the factories: typed and strict; a wrong one is refused in one line that names it."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import pytest

from sessionsite.sessions.checks import DEVELOPMENT_SECRET, PUBLISHED_SECRETS, is_weak_secret
from sessionsite.sessions.cookie import session_factory_from_settings as cookie_factory
from sessionsite.sessions.ini import ConfigurationError
from sessionsite.sessions.settings import (
    ServerSettings,
    cookie_settings,
    server_settings,
)
from sessionsite.sessions.sql_settings import SQLSettings, sql_settings
from tests import ROOT
from tests.harness.refusals import SECRET, check_refusal


def server(**changes: Any) -> tuple[ServerSettings, SQLSettings]:
    """Read the settings of the server factory, and those of its SQL store."""
    keys = {"secret": SECRET, "sqlalchemy.url": "sqlite:///x.db"} | changes
    settings = {f"session.{k}": v for k, v in keys.items() if v is not None}
    return server_settings(settings), sql_settings(settings)


def cookie(**changes: Any) -> Any:
    keys = {"secret": "s"} | changes
    return cookie_settings({f"session.{k}": v for k, v in keys.items() if v is not None})


def with_dots(settings: dict[str, str]) -> dict[str, str]:
    return {k.replace("__", "."): v for k, v in settings.items()}


class TestDefaults:
    def test_the_server_factorys(self) -> None:
        settings, sql = server()
        assert (settings.cookie_name, settings.max_age, settings.path, settings.domain) == (
            "sessionsite", None, "/", None,
        )  # fmt: skip
        assert (settings.secure, settings.httponly, settings.samesite) == (False, True, "Lax")
        assert (settings.timeout, settings.lifetime, settings.reissue_time) == (1200, 43200, 120)
        assert (settings.renewal_time, settings.renewal_grace) == (None, 60)
        assert (settings.prune_interval, settings.set_on_exception) == (900, True)
        assert (sql.table, sql.schema, sql.create_table) == ("sessions", None, False)

    def test_the_cookie_factorys(self) -> None:
        settings = cookie()
        assert (settings.secrets, settings.timeout, settings.reissue_time) == (("s",), 1200, 120)

    @pytest.mark.parametrize(
        ("timeout", "expected"), [("1200", 120), ("500", 50), ("9", 0), ("none", 120)]
    )
    def test_reissue_time_is_a_tenth_of_a_short_timeout(self, timeout: str, expected: int) -> None:
        assert cookie(timeout=timeout).reissue_time == expected

    def test_an_empty_value_is_the_default(self) -> None:
        assert cookie(cookie_name="", timeout=" ").timeout == 1200


class TestValues:
    def test_several_secrets_are_kept_in_their_order(self) -> None:
        settings, _ = server(secret=f" {SECRET}-new\n   {SECRET} ")
        assert settings.secrets == (f"{SECRET}-new", SECRET)

    def test_python_values_are_taken_as_well(self) -> None:
        settings = cookie(timeout=None, httponly=False, max_age=5, secure=True)
        assert (settings.timeout, settings.httponly, settings.max_age) == (1200, False, 5)

    def test_secure_can_be_the_requests_scheme(self) -> None:
        assert server(secure="auto")[0].secure == "auto"

    @pytest.mark.parametrize("word", ["true", "True", "yes", "on", "1"])
    def test_a_boolean_is_written_as_anywhere_in_pyramid(self, word: str) -> None:
        assert server(secure=word)[0].secure is True

    def test_engine_keys_are_passed_on(self) -> None:
        _, sql = server(**with_dots({"sqlalchemy__pool_size": "3"}))
        assert sql.engine == {"url": "sqlite:///x.db", "pool_size": "3"}

    def test_commands_refuse_what_they_would_not_understand(self) -> None:
        with pytest.raises(ConfigurationError, match=r"session\.sql\.tabel"):
            sql_settings({"session.sqlalchemy.url": "sqlite:///x.db", "session.sql.tabel": "x"})

    def test_commands_need_no_secret(self) -> None:
        assert sql_settings({"session.sqlalchemy.url": "sqlite:///x.db"}).table == "sessions"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"secret": None}, "session.secret", "generate-secret"),
    ({"secret": " "}, "session.secret", "generate-secret"),
    ({"secret": f"${{SESSION_SECRET}} {SECRET}"}, "session.secret", "call expand_environment"),
    ({"timeout": "soon"}, "session.timeout = 'soon'", "seconds, or none"),
    ({"timeout": "0"}, "session.timeout = '0'", "at least 1"),
    ({"timeout": "-1"}, "session.timeout = '-1'", "at least 1"),
    ({"timeout": "1.5"}, "session.timeout = '1.5'", "whole number"),
    ({"timeout": True}, "session.timeout = True", "whole number"),
    ({"max_age": "1d"}, "session.max_age = '1d'", "seconds"),
    ({"max_age": "1000000001"}, "session.max_age = '1000000001'", "at most 1000000000"),
    ({"timeout": "9" * 17}, "session.timeout", "at most 1000000000"),
    ({"reissue_time": "9" * 17}, "session.reissue_time", "at most 1000000000"),
    ({"reissue_time": "none"}, "session.reissue_time", "seconds"),
    ({"reissue_time": "1200"}, "session.reissue_time = '1200'", "session.timeout has (1200)"),
    ({"secure": "maybe"}, "session.secure = 'maybe'", "true or false"),
    ({"httponly": "2"}, "session.httponly = '2'", "true or false"),
    ({"samesite": "loose"}, "session.samesite = 'loose'", "lax or strict or none"),
    ({"samesite": "None"}, "session.samesite = 'None'", "session.secure = true"),
    ({"cookie_name": "a b"}, "session.cookie_name = 'a b'", "RFC 6265"),
    ({"cookie_name": "x" * 33}, "session.cookie_name", "at most 32"),
    ({"cookie_name": "__Host-x"}, "session.cookie_name", "session.secure = true"),
    ({"cookie_name": "__Host-x", "secure": "true", "path": "/a"}, "session.cookie_name", "path"),
    ({"cookie_name": "__host-x", "secure": "true", "domain": "a.org"}, "session.cookie_name",
     "domain"),
    ({"cookie_name": "__Secure-x"}, "session.cookie_name", "session.secure = true"),
    ({"cookie_name": "__Host-Http-x", "secure": "true", "httponly": "false"},
     "session.cookie_name", "session.httponly = true"),
    ({"partitioned": "true"}, "session.partitioned", "session.samesite = None"),
    ({"allow_insecure": "nothing"}, "session.allow_insecure", "'nothing' is none of"),
    ({"path": "a"}, "session.path = 'a'", "starts with /"),
    ({"path": "/a;b"}, "session.path", "no ;"),
    ({"domain": "a b"}, "session.domain = 'a b'", "host name"),
    ({"timout": "5"}, "session.timout", "did you mean session.timeout?"),
    ({"resave": "false"}, "session.resave", "remove it"),
]  # fmt: skip
REFUSED_BY_SERVER: list[tuple[dict[str, Any], str, str]] = [
    ({"secret": "short"}, "session.secret", "32 characters"),
    ({"secret": f"{SECRET} short"}, "session.secret", "32 characters"),
    ({"secret": DEVELOPMENT_SECRET}, "session.secret", "generate-secret"),
    ({"sqlalchemy.url": None}, "session.sqlalchemy.url", "postgresql://"),
    ({"max_age": "43199"}, "session.max_age = '43199'", "session.lifetime (43200)"),
    ({"max_age": "9", "lifetime": "none"}, "session.max_age = '9'", "session.lifetime is none"),
    ({"lifetime": "x"}, "session.lifetime = 'x'", "seconds"),
    ({"timeout": "none", "lifetime": "none"}, "session.lifetime", "no session would ever end"),
    ({"new_timeout": "1201"}, "session.new_timeout = '1201'", "session.timeout (1200)"),
    ({"renewal_time": "60"}, "session.renewal_grace", "a token would never end"),
    ({"renewal_time": "0"}, "session.renewal_time = '0'", "at least 1"),
    ({"lifetime": "9" * 17}, "session.lifetime", "at most 1000000000"),
    ({"prune_interval": "9" * 11}, "session.prune_interval", "at most 1000000000"),
    ({"prune_interval": "0"}, "session.prune_interval = '0'", "or none"),
    ({"sql.create_table": "perhaps"}, "session.sql.create_table = 'perhaps'", "true or false"),
    ({"sql.tabel": "x"}, "session.sql.tabel", "did you mean session.sql.table?"),
]
REFUSED_BY_COOKIE: list[tuple[dict[str, Any], str, str]] = [
    ({"lifetime": "5"}, "session.lifetime", "the server factory's"),
    ({"secure": "auto"}, "session.secure = 'auto'", "true or false"),
    ({"sqlalchemy.url": "x"}, "session.sqlalchemy.url", "the server factory's"),
    ({"sql.table": "x"}, "session.sql.table", "the server factory's"),
]


@pytest.mark.parametrize(("changes", "key", "advice"), [*REFUSED, *REFUSED_BY_SERVER], ids=repr)
def test_the_server_factory_refuses(changes: dict[str, Any], key: str, advice: str) -> None:
    check_refusal(lambda: server(**changes), key, advice)


@pytest.mark.parametrize(("changes", "key", "advice"), [*REFUSED, *REFUSED_BY_COOKIE], ids=repr)
def test_the_cookie_factory_refuses(changes: dict[str, Any], key: str, advice: str) -> None:
    check_refusal(lambda: cookie(**changes), key, advice)


def test_keys_of_other_prefixes_are_nobodys_business() -> None:
    cookie_factory({"session.secret": "s", "session_x": "1", "redis.sessions.secret": "2"})


def test_no_secret_shows_in_a_repr() -> None:
    settings, sql = server(**{"sqlalchemy.url": "postgresql://u:hunter2@h/d"})
    assert SECRET not in repr(settings)
    assert "hunter2" not in repr(sql)


def test_the_secrets_that_the_project_prints_are_refused() -> None:
    assert DEVELOPMENT_SECRET not in (ROOT / "development.ini").read_text()
    assert DEVELOPMENT_SECRET in PUBLISHED_SECRETS


WEAK = [
    "0" * 64, "ab" * 32, "0123456789abcdef" * 4, "abcdefghijklmnopqrstuvwxyz012345", "é" * 32,
    "A" * 43 + "=", "0000000000000001000000000000000f", "deadbeefcafebabe" * 2, "1234567890" * 4,
    "00010203040506070809101112131415", "31323334353637383930313233343536",
    "qwertyuiopasdfghjklzxcvbnm123456", "passwordpasswordpassword12345678",
    "my-super-secret-key-for-production", "please-change-this-secret-key-now!!",
    "your-secret-key-goes-here-change-me", "django-insecure-change-me-please-now",
    "correct-horse-battery-staple-1234", "ChangeMeCHANGEMEchangemeChangeMe",
]  # fmt: skip


@pytest.mark.parametrize(
    ("lifetime", "max_lifetime"), [("none", "3600"), ("7200", "3600"), ("43200", "43199")]
)
def test_a_max_lifetime_below_the_lifetime_is_refused(lifetime: str, max_lifetime: str) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.max_lifetime"):
        server(lifetime=lifetime, max_lifetime=max_lifetime)


@pytest.mark.parametrize("secret", WEAK)
def test_a_secret_that_can_be_guessed_is_refused_by_the_server(secret: str) -> None:
    assert len(secret) >= 32
    with pytest.raises(ConfigurationError, match="hard to guess") as caught:
        server(secret=secret)
    assert secret[:9] not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda chance: chance.randbytes(16).hex(),
        lambda chance: urlsafe_b64encode(chance.randbytes(24)).decode(),
        lambda chance: str(UUID(bytes=chance.randbytes(16))),
    ],
    ids=["hexadecimal", "base64", "uuid"],
)
def test_no_random_secret_is_refused(make: Callable[[Random], str]) -> None:
    chance = Random(0)  # a test that fails once in a thousand runs tells nobody anything
    for _ in range(2000):
        assert not is_weak_secret(make(chance))


@pytest.mark.parametrize(
    "secret", ["a12dc8fe521d21a1d21212a9ab511d2a", "f4f7da49c12c4c4c412c44d9c190c774"]
)
def test_a_random_secret_that_looks_less_random_is_taken(secret: str) -> None:
    assert not is_weak_secret(secret)  # two of the three worst among 1,500,000
