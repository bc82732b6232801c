"""The PostgreSQL and the Redis that hold the sessions, started for the benchmark."""

import os
import subprocess
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from benchmarks import install
from benchmarks.contestants import Contestant
from benchmarks.measure import RedisCommands, StatementLog
from tests.servers import Missing
from tests.servers.postgres import Postgres, bindirs
from tests.servers.process import Server, family
from tests.servers.redis import Redis, start_redis


class Stores:
    """Each contestant has a database of its own in one PostgreSQL; Redis starts when asked for."""

    def __init__(
        self, directory: Path, stack: ExitStack, *, durable: bool, cpu: int | None
    ) -> None:
        self._directory, self._stack, self._cpu = directory, stack, cpu
        self.postgres = self._start_postgres(durable)

    def _start_postgres(self, durable: bool) -> Postgres:
        if not (found := bindirs()):
            raise Missing("PostgreSQL", "apt install postgresql")
        # Not start_postgres(): with TEST_DATABASE_URL that one is not ours to look into.
        postgres = Postgres(self._directory, found[0])
        self._stack.callback(postgres.close)
        if durable:  # the tests' server is not
            off = ("--fsync=off", "--full_page_writes=off")
            postgres.command = [word for word in postgres.command if word not in off]
        # Checkpoints come between the measurements, not in somebody's.
        postgres.command += ["--checkpoint_timeout=1h", "--max_wal_size=8GB"]
        postgres.start()
        self._pin(postgres)
        return postgres

    @cached_property
    def redis(self) -> Redis:
        install.program("redis-server", "redis-server")
        redis = start_redis(self._directory)
        self._stack.callback(redis.stop)
        self._pin(redis)
        return redis

    def _pin(self, server: Server) -> None:
        if self._cpu is not None:
            for pid in family(server.pid):  # what they fork later is pinned with them
                os.sched_setaffinity(pid, {self._cpu})

    def url(self, contestant: Contestant) -> str:
        """A new and empty store for the contestant; empty where it has no sessions."""
        if contestant.store == "redis":
            return self.redis.url
        if contestant.store == "postgresql":
            return self.postgres.create_database(contestant.key.replace("-", "_"))
        return ""

    def pids(self, contestant: Contestant) -> list[int]:
        """The main process of the contestant's store; none where it has no sessions."""
        if contestant.store is None:
            return []
        return [(self.redis if contestant.store == "redis" else self.postgres).pid]

    def statements(self, contestant: Contestant) -> StatementLog | RedisCommands:
        """What counts the statements that the contestant's store gets."""
        if contestant.store == "redis":
            return RedisCommands(self.redis)
        return StatementLog(self.postgres)

    def checkpoint(self) -> None:
        with self.postgres.connect() as connection:
            connection.execute("CHECKPOINT")

    def versions(self) -> dict[str, str]:
        with self.postgres.connect() as connection:
            row = connection.execute("SHOW server_version").fetchone()
        versions = {"PostgreSQL": str(row[0]) if row else "?"}
        if "redis" in self.__dict__:
            command = [self.redis.command[0], "--version"]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
            versions["Redis"] = said.partition("v=")[2].partition(" ")[0]
        return versions
