"""Gates at which requests wait, in whichever process they run, until a test lets them go on."""

import socket
import socketserver
import threading
from typing import Self

TIMEOUT = 30


class Gate:
    """Stays closed until `size` requests stand at it; a `held` one until it is opened."""

    def __init__(self, name: str, size: int, held: bool) -> None:
        self.name = name
        self._size = size
        self._held = held
        self._waiting = 0
        self._open = False
        self._changed = threading.Condition()

    def arrive(self) -> bool:
        """Wait in front of it; return whether it has opened."""
        with self._changed:
            self._waiting += 1
            if self._waiting == self._size and not self._held:
                self._open = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._open, TIMEOUT)

    def wait_until_full(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting >= self._size, TIMEOUT):
                raise TimeoutError(f"{self._waiting} of {self._size} requests came to the gate")

    def open(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()


class GateKeeper(socketserver.ThreadingTCPServer):
    """Listens on loopback in the test process; each thread of the app has a connection to it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.port: int = self.server_address[1]
        self._gates: dict[str, Gate] = {}

    def gate(self, size: int, *, held: bool = False) -> Gate:
        name = str(len(self._gates))
        return self._gates.setdefault(name, Gate(name, size, held))

    def __getitem__(self, name: str) -> Gate:
        return self._gates[name]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()


class _Visit(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, GateKeeper)
        for line in self.rfile:
            if not self.server[line.decode().strip()].arrive():
                return  # the other side sees the end of the connection
            self.wfile.write(b"\n")


_connection = threading.local()


def wait_at(port: int, name: str) -> None:
    """Wait at a gate, from inside the app."""
    if not hasattr(_connection, "socket"):
        _connection.socket = socket.create_connection(("127.0.0.1", port))
        _connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _connection.socket.sendall(f"{name}\n".encode())
    if not _connection.socket.recv(1):
        raise TimeoutError(f"gate {name} never opened")
