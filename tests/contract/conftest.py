"""Session factories to test: all that there are, each on every store."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from sessionsite.sessions.memory import MemoryStore
from tests.contract.kit import FACTORIES, Kit
from tests.harness.redis import Redis
from tests.harness.stores import sql_store, valkey_store
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
    elif kind == "valkey":
        redis: Redis = request.getfixturevalue("redis")
        store = valkey_store(redis.url, prefix=f"{uuid4()}:", timeout=60)
        yield Kit(kind, clock, store)
        store.close()
    else:
        url = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
        # Of twenty who wait for SQLite's one writer it serves no one first: five seconds pass.
        sql = sql_store(url, timeout=60)
        yield Kit(kind, clock, sql)
        sql.engine.dispose()
