"""The engine: what users write in DATABASE_URL, and options that are typed."""

from typing import Any

import psycopg
import pytest

from sessionsite.sessions.configuration import ConfigurationError
from sessionsite.sessions.engine import database_url, make_engine
from tests.harness import free_port
from tests.harness.stores import sql_settings


def engine(url: str, **options: Any) -> Any:
    return make_engine(sql_settings(url, engine=options))


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_name_of_postgresql_means_psycopg(scheme: str) -> None:
    url = database_url(f"{scheme}://u:p%40w@h:5433/d?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.port) == ("u", "p@w", "h", 5433)
    assert (url.database, dict(url.query)) == ("d", {"sslmode": "require"})


def test_without_host_and_name_libpq_finds_them_itself() -> None:
    arguments = engine("postgresql+psycopg://").dialect.create_connect_args(
        database_url("postgresql://")
    )
    assert not {"host", "port", "dbname", "user"} & set(arguments[1])


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://u:p@h1:5433,h2:5434/d", "h1,h2", "5433,5434"),
        ("postgresql://u:p@h1,h2/d?target_session_attrs=read-write", "h1,h2", None),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql", None),
    ],
)
def test_hosts_are_written_as_libpq_has_them(url: str, host: str, port: str | None) -> None:
    made = database_url(url)
    _, arguments = engine(url).dialect.create_connect_args(made)
    assert arguments["host"] == host
    assert set(str(arguments.get("port", "")).split(",")) - {""} == set((port or "").split(",")) - {
        ""
    }
    assert made.database == "d"


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:", "://",
     "postgresql+asyncpg://u:hunter2@h/d", "postgresql://u:hunter2@h:port/d"],
)  # fmt: skip
def test_what_is_no_url_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"session\.sqlalchemy\.url") as caught:
        engine(url)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_psycopgs_own_parameter_is_typed() -> None:
    made = engine(f"postgresql://127.0.0.1:{free_port()}/d?prepare_threshold=none")
    with pytest.raises(psycopg.OperationalError):  # and not TypeError
        made.raw_connection()


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
