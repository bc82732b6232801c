"""Launchers of the real servers that the tests run against, and what else several tests need.

Each `start_…` returns a server that answers already. Leaving its `with` block ends it, and so does
the end of the test process, however violent.
"""

import fcntl
import os
import secrets
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PORTS = range(20_000, 32_000)


class Missing(Exception):
    """A server's program is not on this machine; the text says which, and how to get it."""

    def __init__(self, name: str, how_to_get_it: str) -> None:
        super().__init__(f"{name} is not on this machine: {how_to_get_it}")
        self.name = name
        self.how_to_get_it = how_to_get_it


def free_port() -> int:
    """A free port of 127.0.0.1, reserved for the caller while this process lives.

    From below the range that outgoing connections take theirs from: one of those could sit on the
    port of a server that is being restarted. Not from `random`, whose seed a plugin of pytest sets
    to the same in each process.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        if _claim(port) and can_bind(port):
            return port


_claimed: set[int] = set()


def _claim(port: int) -> bool:
    """Whether the port is now ours: a lock on its byte of a file that all test processes share.

    The kernel lets go of it at our end, however violent.
    """
    if port in _claimed:  # the kernel would grant it to us again
        return False
    with suppress(OSError):
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        _claimed.add(port)
        return True
    return False


@cache
def _claims() -> int:
    """The file's descriptor, never closed: that would drop all locks of the process."""
    path = Path(tempfile.gettempdir(), f"sessionsite-tests-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def can_bind(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1 at `port`."""
    with socket.socket() as probe:
        # As servers do: without it, a port whose connections closed a minute ago looks taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listening(port: int) -> bool:
    """Whether 127.0.0.1 accepts connections at `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
