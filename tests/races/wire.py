"""Counts what goes over the wire to PostgreSQL: a proxy that understands just enough of it."""

import socket
import socketserver
import threading
from typing import Self

_HEADER = 5  # a byte for the message's type, and the length of the rest, the length itself included


class WireCounter(socketserver.ThreadingTCPServer):
    """Stands before a PostgreSQL server, on loopback; the connections must not use TLS."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port: int = self.server_address[1]
        self.target = host, port
        self.statements = 0
        self.round_trips = 0
        self._lock = threading.Lock()

    def count(self, kind: bytes) -> None:
        with self._lock:
            self.statements += kind in b"EQ"  # Execute, or a simple Query
            self.round_trips += kind in b"SQ"  # Sync: the sender waits for the answer

    def take(self) -> tuple[int, int]:
        """Return how many statements and round trips there were since it was last asked."""
        with self._lock:
            taken = self.statements, self.round_trips
            self.statements = self.round_trips = 0
        return taken

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, WireCounter)
        with socket.create_connection(self.server.target) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._answer, args=(server,))
            back.start()
            # The first message has no byte in front that says what it is.
            size = self.rfile.read(4)
            server.sendall(size + self.rfile.read(int.from_bytes(size, "big") - 4))
            while len(header := self.rfile.read(_HEADER)) == _HEADER:
                rest = self.rfile.read(int.from_bytes(header[1:], "big") - 4)
                self.server.count(header[:1])
                server.sendall(header + rest)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _answer(self, server: socket.socket) -> None:
        while received := server.recv(65536):
            self.wfile.write(received)
