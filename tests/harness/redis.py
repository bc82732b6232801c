"""A real Redis."""

import shutil
import socket
from pathlib import Path
from typing import Any

import redis

from tests.harness import Missing, free_port
from tests.harness.process import Server


class Redis(Server):
    """Redis on 127.0.0.1, that forgets everything when it ends."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise Missing("Redis", "apt install redis-server, or brew install redis")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--daemonize", "no"]
        command += ["--save", "", "--appendonly", "no"]
        super().__init__(command, directory / f"redis-{self.port}.log", cwd=directory)

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

    def create_user(self, name: str) -> str:
        """Let a user with a password of their own do everything, and return their URL."""
        self.run("ACL", "SETUSER", name, "reset", "on", ">secret", "~*", "&*", "+@all")
        return f"redis://{name}:secret@127.0.0.1:{self.port}/0"


def start_redis(directory: Path) -> Redis:
    """A Redis that answers; its log is in `directory`."""
    return Redis(directory).start()
