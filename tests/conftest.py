"""Real servers for the tests, one of each kind per process, and the sites on them."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs, start_postgres
from tests.harness.process import Server
from tests.harness.pserve import Section
from tests.harness.redis import Redis, start_redis
from tests.harness.redis_cluster import Cluster
from tests.harness.sites import Site, making_sites
from tests.harness.skipping import required

# The fixtures that start a server or a browser; all others start one through these.
SERVERS = {
    "browser", "on_lmdb", "on_sqlite", "on_valkey", "postgres", "redis", "redis_cluster",
    "stoppable_postgres",
}  # fmt: skip

# A slow machine is no failure. `make check` asks for the profile `fast`, `make fuzz` for `fuzz`.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("tests"), max_examples=20)
settings.register_profile(
    "fuzz",
    settings.get_profile("tests"),
    max_examples=int(os.environ.get("FUZZ_CASES", "8000")),  # of each of the 13 tests
    derandomize=False,
)
settings.load_profile("tests")

# A shell that starts the tests in the background has SIGINT ignored, in all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the run: modules, and the tests."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures start a server.

    A parameter that chooses a server, and a test that starts its own, are marked where they are.
    """
    for item in items:
        if isinstance(item, pytest.Function) and SERVERS & set(item.fixturenames):
            item.add_marker("servers")


@pytest.fixture(autouse=True)
def _only_what_is_marked_starts_a_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep `-m "not servers"` from starting a server, even for a test that lacks the mark."""
    if request.node.get_closest_marker("servers") is None:

        def refuse(server: Server, *_: object) -> NoReturn:
            pytest.fail(f"{type(server).__name__} in a test without the marker `servers`")

        monkeypatch.setattr(Server, "start", refuse)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once what was missing. The reports tell, since the tests may run in other processes."""
    reasons = {
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    }
    if missing := sorted(reason for reason in reasons if "is not on this machine: " in reason):
        terminalreporter.section("not tested on this machine")
        for reason in missing:
            terminalreporter.write_line(reason)


@pytest.fixture(
    scope="module",  # or the tests of the next one would run on this one's server, unasked
    params=[Section.WAITRESS, pytest.param(Section.GRANIAN, marks=pytest.mark.all)],
)
def each_server(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start production.ini, and the probe, on each server in turn."""
    Section.name = request.param
    yield
    Section.name = Section.WAITRESS


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server that all tests share; a test that stops a server starts its own."""
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
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database, the test's own as long as it runs."""
    with postgres.lend_database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sessions.db"


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with required():
        server = start_redis(tmp_path_factory.mktemp("redis"))
    with server:
        yield server


@pytest.fixture(scope="module")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters and three replicas, which tests may stop, and leave whole."""
    with required():
        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    with cluster:
        yield cluster


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make the site of development.ini, or of production.ini on SQLite or PostgreSQL."""

    def url_of(name: str) -> str:
        url: str = request.getfixturevalue(f"{name}_url")
        return url

    with making_sites(tmp_path, url_of) as make:
        yield make


@pytest.fixture(
    scope="module",
    params=["development", "sqlite", pytest.param("postgres", marks=pytest.mark.servers)],
)
def shared_site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The site of each .ini file in turn, shared: to make one takes longer than most tests."""
    directory = tmp_path_factory.mktemp("site")

    def url_of(name: str) -> str:
        if name == "sqlite":
            return f"sqlite:///{directory}/sessions.db"
        postgres: Postgres = request.getfixturevalue("postgres")
        return postgres.create_database("site")

    with making_sites(directory, url_of) as make:
        yield make(request.param)


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The site of each .ini file in turn, with no session in it."""
    shared_site.forget_all_visitors()
    return shared_site
