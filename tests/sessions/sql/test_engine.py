"""The engine: what users write in DATABASE_URL, and options that are typed."""

from typing import Any

import psycopg
import pytest

from sessionsite.sessions.ini import ConfigurationError
from sessionsite.sessions.sql.engine import make_engine
from sessionsite.sessions.sql.postgresql import PostgreSQL, connection_parameters
from tests.harness import free_port
from tests.harness.stores import settings_of


def engine(url: str, **options: Any) -> Any:
    return make_engine(settings_of(url, **options))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_name_of_postgresql_means_psycopg(scheme: str) -> None:
    url = f"{scheme}://u:p%40w@h:5433/d?sslmode=require"
    assert engine(url).driver == "psycopg"
    assert connection_parameters(url) == {
        "user": "u", "password": "p@w", "host": "h", "port": "5433", "dbname": "d",
        "sslmode": "require",
    }  # fmt: skip


def test_without_host_and_name_libpq_finds_them_itself() -> None:
    assert connection_parameters("postgresql+psycopg://") == {}
    _, arguments = engine("postgresql+psycopg://").dialect.create_connect_args(
        engine("postgresql://").url
    )
    assert not {"host", "port", "dbname", "user"} & arguments.keys()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://u:p@h1:5433,h2:5434/d", "h1,h2", "5433,5434"),
        ("postgresql://u:p@h1,h2/d?target_session_attrs=read-write", "h1,h2", ","),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql", None),
        ("postgresql://u@%2Fvar%2Frun%2Fpostgresql:5433/d", "/var/run/postgresql", "5433"),
        ("postgresql://u@[::1]:1,[::1]:2/d", "::1,::1", "1,2"),
        ("postgresql://u@127.0.0.1:2,[::1]:1/d", "127.0.0.1,::1", "2,1"),
        ("postgresql://u@[fe80::1%25eth0]:5432/d", "fe80::1%eth0", "5432"),
    ],
)
def test_hosts_are_what_libpq_says_they_are(url: str, host: str, port: str | None) -> None:
    parameters = connection_parameters(url)
    assert (parameters["host"], parameters.get("port")) == (host, port)
    assert parameters["dbname"] == "d"


@pytest.mark.parametrize("password", ["p?x=1", "p#x", "x,y", "[p", "p?prepare_threshold=none"])
def test_a_password_is_what_libpq_says_it_is(password: str) -> None:
    parameters = connection_parameters(f"postgresql://u:{password}@h/d?sslmode=require")
    assert (parameters["password"], parameters["host"]) == (password, "h")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:", "://",
     "sqlite://h:hunter2/x.db", "sqlite://u:p@hunter2/x.db", "hunter2:x@h/d", "postgresql:hunter2",
     # an & that was to be part of the password
     "postgresql://h/d?password=pa&hunter2=x", "postgresql://h/d?password=pa&prepare_threshold=hunter2",
     "postgresql+asyncpg://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d",
     # an @ or a / that was to be part of the password
     "postgresql://u:pa@hunter2@h/d", "postgresql://u:pa/hunter2@h/d", "postgresql://u:hunter2/pa@h",
     "postgresql://h/d?x=hunter2@", "postgresql://u:hunter2%zz@h/d"],
)  # fmt: skip
def test_what_is_no_url_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.sqlalchemy\.url") as caught:
        engine(url)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("environment", [{}, {"PGCONNECT_TIMEOUT": "9"}])
def test_libpqs_variable_says_how_long_to_connect_if_it_is_set(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = PostgreSQL().engine_options("postgresql://h/d", 5).arguments["connect_args"]
    assert arguments.get("connect_timeout") == (None if environment else 5)


def test_psycopgs_own_parameter_is_typed() -> None:
    made = engine(f"postgresql://127.0.0.1:{free_port()}/d?prepare_threshold=none")
    with pytest.raises(psycopg.OperationalError):  # and not TypeError
        made.raw_connection()


@pytest.mark.parametrize(
    "url", ["postgresql://h/d?{}", "postgresql://h?{}", "postgresql://h?sslmode=require&{}"]
)
def test_prepare_threshold_is_psycopgs(url: str) -> None:
    parameters = connection_parameters(url.format("prepare_threshold=none"))
    assert parameters["prepare_threshold"] is None
    assert parameters["host"] == "h"


@pytest.mark.parametrize("query", ["nosuch=0", "prepare_threshold=5"])
def test_a_parameter_that_nobody_knows_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match=query.partition("=")[0]):
        engine(f"postgresql://h/d?{query}")


def test_a_boolean_option_is_a_boolean() -> None:
    assert engine("postgresql://", pool_pre_ping="false").pool._pre_ping is False
    assert engine("postgresql://", pool_pre_ping="true").pool._pre_ping is True


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"pool_pre_ping": "maybe"}, "session.sqlalchemy.pool_pre_ping"),
        ({"pool_size": "many"}, "session.sqlalchemy.pool_size"),
        ({"pool_size": "0"}, "session.sqlalchemy.pool_size = '0': give at least 1"),
        ({"pool_size": "-1"}, "session.sqlalchemy.pool_size = '-1': give at least 1"),
        ({"max_overflow": "-2"}, "session.sqlalchemy.max_overflow = '-2': give at least -1"),
        ({"pool_timeout": "-1"}, "session.sqlalchemy.pool_timeout = '-1': give at least 0"),
        ({"pool_sise": "5"}, "session.sqlalchemy.pool_sise"),
        ({"connect_args": "x"}, "session.sqlalchemy.connect_args"),
        ({"isolation_level": "SERIALIZABLE"}, "session.sqlalchemy.isolation_level"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        engine("postgresql://u:hunter2@h/d", **options)
    assert str(caught.value).startswith(key)
    assert "hunter2" not in str(caught.value)
