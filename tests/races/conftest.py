"""Real processes on a real PostgreSQL, or on one SQLite file."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.own_store import LMDBStore
from tests.harness.hostile import hostile_database
from tests.harness.postgres import Postgres
from tests.harness.redis import Redis
from tests.races.clients import Site
from tests.races.gates import GateKeeper
from tests.races.processes import processes, processes_on_valkey


@pytest.fixture(scope="package")
def keeper() -> Iterator[GateKeeper]:
    with GateKeeper() as keeper:
        yield keeper


@pytest.fixture(scope="package")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("races")


@pytest.fixture(scope="package")
def on_postgresql(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    """Two processes of the app with all views, on a database with hostile defaults."""
    url = hostile_database(postgres, "serializable")
    with processes(directory, keeper, url) as site:
        yield site


@pytest.fixture(scope="package")
def on_sqlite(directory: Path, keeper: GateKeeper) -> Iterator[Site]:
    with processes(directory, keeper, f"sqlite:///{directory}/races.db") as site:
        yield site


@pytest.fixture(scope="package")
def on_lmdb(directory: Path, keeper: GateKeeper) -> Iterator[Site]:
    """Two processes on a store that is no database: the one of the examples."""
    folder = directory / "lmdb"
    settings = {
        "session.store": "examples.own_store.store_from_settings",
        "session.store.folder": str(folder),
    }
    with processes(directory, keeper, "", settings=settings, own_store=LMDBStore(folder)) as site:
        yield site


@pytest.fixture(scope="package")
def on_valkey(directory: Path, keeper: GateKeeper, redis: Redis) -> Iterator[Site]:
    with processes_on_valkey(directory, keeper, redis.url) as site:
        yield site


@pytest.fixture
def naive(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Callable[..., Site]]:
    """Start a process whose store is one of those in broken.py."""
    with ExitStack() as stack:

        def start(
            store: str, app: str = "views", settings: Mapping[str, str] | None = None
        ) -> Site:
            url = postgres.create_database("naive")
            settings = {"races.store": store, **(settings or {})}
            return stack.enter_context(
                processes(directory, keeper, url, app, settings=settings, count=1)
            )

        yield start
