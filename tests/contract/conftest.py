"""Session factories to test: all that there are, each on every store."""

from collections.abc import Iterator

import pytest

from sessionsite.sessions.memory import MemoryStore
from tests.contract.kit import FACTORIES, Kit
from tests.harness.stores import sql_store
from tests.harness.visitor import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=FACTORIES)
def kit(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Kit]:
    """Every factory in turn."""
    kind = request.param
    if kind == "cookie":
        yield Kit(kind, clock, None)
    elif kind == "memory":
        yield Kit(kind, clock, MemoryStore())
    else:
        url = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
        # Of twenty who wait for SQLite's one writer it serves no one first: five seconds pass.
        store = sql_store(url, timeout=60)
        yield Kit(kind, clock, store)
        store.engine.dispose()
