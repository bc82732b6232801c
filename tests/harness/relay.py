"""What stands between a process and its database: a network, and a name server."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Relay:
    """Passes TCP connections on to a port of 127.0.0.1, until it is to `swallow` all.

    Then bytes are kept back in both directions, and connections wait: as behind a
    firewall that drops packets, nobody is told anything.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        self._open.clear()

    def let_through(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.wait()
        server = socket.create_connection(("127.0.0.1", self._target))
        self._sockets += [client, server]
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=[source, target], daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.set()
        self._listener.close()
        for each in self._sockets:
            each.close()


class Nameserver:
    """Says that one name is 127.0.0.1, on an address of its own, as long as it `answers`."""

    def __init__(self, name: str) -> None:
        self._question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        for last in range(2, 255):  # another test process may have taken one
            self.address = f"127.0.53.{last}"
            try:
                self._socket.bind((self.address, 53))
                break
            except OSError:
                continue
        self.answers = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                asked, sender = self._socket.recvfrom(512)
                if self.answers:
                    self._socket.sendto(self._answer(asked), sender)

    def _answer(self, asked: bytes) -> bytes:
        """Return an answer of RFC 1035, section 4: an address, or that there is none."""
        end = asked.index(b"\0", 12) + 5
        question = asked[12:end]
        is_ours = question == self._question + b"\0\1\0\1"  # A, IN
        header = asked[:2] + b"\x85\x80" + b"\0\1" + (b"\0\1" if is_ours else b"\0\0") + b"\0" * 4
        address = b"\xc0\x0c\0\1\0\1" + b"\0\0\0\1" + b"\0\4\x7f\0\0\1"  # for a second
        return header + question + (address if is_ours else b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()
