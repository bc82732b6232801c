"""The PostgreSQL and the Redis that hold the sessions, and their own counts of statements."""

import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from benchmarks import machine
from benchmarks.cli import output
from benchmarks.peers import install
from benchmarks.peers.stacks import Stack
from tests.harness import Missing
from tests.harness.postgres import Postgres, bindirs
from tests.harness.redis import Redis, start_redis

LINE = re.compile(r"LOG:  (?:statement|execute [^:]*): *(\w+)")


class Stores:
    """Each stack has a database of its own in one PostgreSQL; Redis starts when asked for."""

    def __init__(self, directory: Path, exits: ExitStack, *, durable: bool) -> None:
        self._directory, self._exits = directory, exits
        if not (found := bindirs()):
            raise Missing("PostgreSQL", "apt install postgresql")
        # Not start_postgres(): with TEST_DATABASE_URL it returns a server that we may not inspect.
        self.postgres = Postgres(directory, found[0])
        exits.callback(self.postgres.close)
        if durable:  # the tests' server is not
            off = ("--fsync=off", "--full_page_writes=off")
            self.postgres.command = [word for word in self.postgres.command if word not in off]
        # Checkpoints come between the measurements, not within one.
        self.postgres.command += ["--checkpoint_timeout=1h", "--max_wal_size=8GB"]
        self.postgres.start()

    @cached_property
    def redis(self) -> Redis:
        install.program("redis-server", "redis-server")
        return self._exits.enter_context(start_redis(self._directory))

    def url(self, stack: Stack) -> str:
        """A new and empty store for the stack; empty where it has no sessions."""
        if stack.store == "redis":
            return self.redis.url
        if stack.store == "postgresql":
            return self.postgres.create_database(stack.key)
        return ""

    def pids(self, stack: Stack) -> list[int]:
        """The main process of the stack's store; none where it has no sessions."""
        if stack.store is None:
            return []
        return [(self.redis if stack.store == "redis" else self.postgres).pid]

    @contextmanager
    def statements(self, stack: Stack) -> Iterator["Counter[str]"]:
        """Count the statements of the stack's store; too slow to time anything meanwhile."""
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
        with socket.create_connection(("127.0.0.1", self.redis.port), timeout=10) as connection:
            connection.sendall(b"INFO commandstats\r\nQUIT\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        found = re.findall(r"cmdstat_([\w|]+):calls=(\d+)", text)
        ours = ("info", "quit")
        return Counter({name.upper(): int(n) for name, n in found if name not in ours})

    def checkpoint(self) -> None:
        with self.postgres.connect() as connection:
            connection.execute("CHECKPOINT")

    def versions(self) -> dict[str, str]:
        versions = {"PostgreSQL": machine.postgres_version(self.postgres)}
        if "redis" in self.__dict__:
            command = [self.redis.command[0], "--version"]
            versions["Redis"] = output(command).partition("v=")[2].partition(" ")[0]
        return versions
