"""The PostgreSQL and the Redis that hold the peers' sessions, and their counts of statements."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from redis import Redis as Client

from benchmarks import machine
from benchmarks.peers.stacks import Stack
from tests.harness.redis import Redis, start_redis

LINE = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)")


class Stores:
    """Each stack has a database of its own in one PostgreSQL; Redis starts when asked for."""

    def __init__(self, directory: Path, exits: ExitStack) -> None:
        self._directory, self._exits = directory, exits
        # Durable, as the tests' is not. Checkpoints come between the measurements.
        durable = {"fsync": "on", "full_page_writes": "on"}
        calm = {"checkpoint_timeout": "1h", "max_wal_size": "8GB"}
        self.postgres = exits.enter_context(machine.postgres(directory, **durable, **calm))

    @cached_property
    def redis(self) -> Redis:
        return self._exits.enter_context(start_redis(self._directory))

    def url(self, stack: Stack) -> str:
        """A new and empty store for the stack; empty where it has no sessions."""
        if stack.store == "redis":
            return self.redis.url
        return self.postgres.create_database(stack.key) if stack.store else ""

    def pids(self, stack: Stack) -> list[int]:
        """The main process of the stack's store; none where it has no sessions."""
        if stack.store is None:
            return []
        return [(self.redis if stack.store == "redis" else self.postgres).pid]

    @contextmanager
    def statements(self, stack: Stack) -> Iterator["Counter[str]"]:
        """Count the statements that the stack's store gets; too slow to be timed meanwhile."""
        kinds: Counter[str] = Counter()
        if stack.store == "redis":
            before = self._commands()
            yield kinds
            kinds.update(self._commands() - before)
            return
        self._log("SET log_statement = 'all'")
        start = self.postgres.log.stat().st_size
        yield kinds
        time.sleep(0.2)  # for what is being written
        text = self.postgres.log.read_bytes()[start:].decode(errors="replace")
        kinds.update(word.upper() for word in LINE.findall(text))
        self._log("RESET log_statement")

    def _log(self, change: str) -> None:
        with self.postgres.connect() as connection:
            connection.execute(f"ALTER SYSTEM {change}".encode())
            connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)  # until each backend has heard of it

    def _commands(self) -> "Counter[str]":
        with Client.from_url(self.redis.url) as client:
            found = client.info("commandstats")
        return Counter(
            {name.partition("_")[2].upper(): each["calls"] for name, each in found.items()}
        )

    def checkpoint(self) -> None:
        with self.postgres.connect() as connection:
            connection.execute("CHECKPOINT")
