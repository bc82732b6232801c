"""The PostgreSQL and the Redis that hold the sessions, started for the benchmark."""

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from benchmarks import install, machine
from benchmarks.cli import output
from benchmarks.contestants import Contestant
from benchmarks.measure import RedisCommands, StatementLog
from tests.servers import Missing
from tests.servers.postgres import Postgres, bindirs
from tests.servers.redis import Redis, start_redis


class Stores:
    """Each contestant has a database of its own in one PostgreSQL; Redis starts when asked for."""

    def __init__(self, directory: Path, stack: ExitStack, *, durable: bool) -> None:
        self._directory, self._stack = directory, stack
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
        return postgres

    @cached_property
    def redis(self) -> Redis:
        install.program("redis-server", "redis-server")
        redis = start_redis(self._directory)
        self._stack.callback(redis.stop)
        return redis

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
        versions = {"PostgreSQL": machine.postgres_version(self.postgres)}
        if "redis" in self.__dict__:
            command = [self.redis.command[0], "--version"]
            versions["Redis"] = output(command).partition("v=")[2].partition(" ")[0]
        return versions
