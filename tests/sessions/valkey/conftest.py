"""What the tests of the store on Valkey or Redis share."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from sessionsite.sessions.valkey import ValkeyStore
from tests.harness.redis import Redis
from tests.harness.stores import valkey_store


@pytest.fixture
def store(redis: Redis) -> Iterator[ValkeyStore]:
    """A store of one test's own, on one server, that waits for a second."""
    with closing(valkey_store(redis.url, prefix=f"{uuid4()}:", timeout="1")) as store:
        yield store
