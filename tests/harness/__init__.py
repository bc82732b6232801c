"""Launchers of the real servers that the tests run against, and what else several tests need.

Each `start_…` returns a server that answers already. Leaving its `with` block ends it, and so does
the end of the test process, however violent.
"""

import random
import socket

_taken: set[int] = set()


class Missing(Exception):
    """A server's program is not on this machine; says which, and how to get it."""

    def __init__(self, name: str, how_to_get_it: str) -> None:
        super().__init__(f"{name} is not on this machine: {how_to_get_it}")
        self.name = name
        self.how_to_get_it = how_to_get_it


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, never the same one twice.

    From below the range that outgoing connections take theirs from: one of those could sit on the
    port of a server that is being restarted.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        if port not in _taken and can_bind(port):
            _taken.add(port)
            return port


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
