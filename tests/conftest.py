"""Real servers for the tests, one of each a run; and what is said where one is missing."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs, start_postgres
from tests.harness.redis import Redis, start_redis

ROOT = Path(__file__).parent.parent
CI = os.environ.get("CI", "").lower() in ("1", "true")

_missing: dict[str, str] = {}


@contextmanager
def required() -> Iterator[None]:
    """Skip a test whose server is not on this machine; in CI nothing is skipped."""
    try:
        yield
    except Missing as missing:
        if CI:
            pytest.fail(str(missing), pytrace=False)
        _missing[missing.name] = missing.how_to_get_it
        pytest.skip(str(missing))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.section("not tested on this machine")
    for name, how_to_get_it in _missing.items():
        terminalreporter.write_line(f"{name}: {how_to_get_it}")


@pytest.fixture(scope="session")
def missing_is_a_skip() -> Callable[[], AbstractContextManager[None]]:
    return required


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
