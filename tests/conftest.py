"""Real servers for the tests, one of each a process of the run, and the sites on them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs, start_postgres
from tests.harness.redis import Redis, start_redis
from tests.harness.sites import Site, making_sites
from tests.harness.skipping import required


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once what was not there. From the reports, as the tests may run in other processes."""
    reasons = {
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    }
    if missing := sorted(reason for reason in reasons if "is not on this machine: " in reason):
        terminalreporter.section("not tested on this machine")
        for reason in missing:
            terminalreporter.write_line(reason)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server that all tests share; one that stops it starts its own."""
    with required():
        server = start_postgres(tmp_path_factory.mktemp("postgres"))
    with server:
        yield server


@pytest.fixture(scope="module")
def stoppable_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that tests may stop and pause, even where TEST_DATABASE_URL names another."""
    with required():
        if not (found := bindirs()):
            raise Missing("PostgreSQL", "apt install postgresql")
    with start_postgres(tmp_path_factory.mktemp("database"), found[0]) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A database of the test's own, still empty."""
    return postgres.create_database("test")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sessions.db"


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with required():
        server = start_redis(tmp_path_factory.mktemp("redis"))
    with server:
        yield server


@pytest.fixture
def make_site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    """Make the site of development.ini, or of production.ini on SQLite or PostgreSQL."""

    def url_of(name: str) -> str:
        url: str = request.getfixturevalue(f"{name}_url")
        return url

    with making_sites(tmp_path, monkeypatch.setenv, url_of) as make:
        yield make


@pytest.fixture(params=["development", "sqlite", "postgres"])
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Site:
    """The site of each .ini file in turn."""
    return make_site(request.param)
