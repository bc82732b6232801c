"""A real Valkey or Redis."""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.harness import Missing, free_port
from tests.harness.process import Server

ALLOWED = (
    "+eval +evalsha +get +set +del +getdel +getrange +exists +pexpire +zadd +zcard +zrange +zrem "
    "+zscore +scan +time +wait +info +command +cluster|slots +asking"
)
"""What a user of the store must be allowed; on a single server the last three are not needed."""


def find_server() -> str | None:
    """The program: what TEST_VALKEY_SERVER names, or else Valkey's, or else Redis's."""
    named = os.environ.get("TEST_VALKEY_SERVER")
    if named:
        return shutil.which(named)
    return shutil.which("valkey-server") or shutil.which("redis-server")


class Redis(Server):
    """Valkey or Redis on 127.0.0.1, that forgets everything when it ends, unless told otherwise."""

    def __init__(self, directory: Path, *options: str) -> None:
        """`options`: further ones, such as "--appendonly", "yes"."""
        program = find_server()
        if program is None:
            raise Missing("Redis", "apt install redis-server, or brew install valkey")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--daemonize", "no"]
        command += ["--save", "", "--appendonly", "no", *options]
        super().__init__(command, directory / f"redis-{self.port}.log", cwd=directory)

    @property
    def nodes(self) -> Sequence["Redis"]:
        """This server alone, as a cluster has all of its own."""
        return [self]

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    def run(self, *command: str | bytes) -> Any:
        """Run a command as an operator, and return its answer."""
        with redis.Redis(port=self.port) as client:
            return client.execute_command(*command)

    def error(self, *command: str | bytes) -> bytes:
        """Run a command, and return the text of its error, or nothing."""
        try:
            self.run(*command)
        except redis.ResponseError as exc:
            return type(exc).__name__.upper().encode()
        return b""

    @contextmanager
    def commands(self) -> Iterator[list[str]]:
        """Note the commands that others send meanwhile, those inside of scripts aside."""
        noted: list[str] = []
        with redis.Redis(port=self.port) as client, redis.Redis(port=self.port) as operator:
            operator.ping()  # it is connected by now
            with client.monitor() as monitor:
                yield noted
                operator.echo("the end")
                for each in monitor.listen():
                    if each["command"] == "ECHO the end":
                        break
                    if each["client_type"] != "lua":
                        noted.append(each["command"].partition(" ")[0])

    def create_user(self, name: str) -> str:
        """Let a user with a password do what docs/valkey.md says, and return their URL."""
        self.run("ACL", "SETUSER", name, "reset", "on", ">secret", "~*", *ALLOWED.split())
        return f"redis://{name}:secret@127.0.0.1:{self.port}/0"


def start_redis(directory: Path, *options: str) -> Redis:
    """A server that answers; its log is in `directory`."""
    return Redis(directory, *options).start()
