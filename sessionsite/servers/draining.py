"""waitress, stopping: finishes the requests that have begun, and sends every byte of the answers.

waitress ends its loop at once instead: an answer that is still in its buffer is lost.
"""

import select
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.task import WSGITask

# A connection that was used so lately may be about to carry another request: it is answered, and
# told that it was the last one. To close the connection under it would lose a POST, which no proxy
# sends twice.
QUIET: Final = 0.5  # seconds
TURN: Final = 0.01  # seconds: how long a turn of the loop waits


class Task(WSGITask):
    """A request that tells its client, while the server stops, that the connection will close."""

    def build_response_header(self) -> bytes:
        if self.channel.draining:
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()
        return header


class Channel(HTTPChannel):
    """A connection; while the server stops, it stays until its client has all that was sent."""

    task_class = Task
    draining = False

    def handle_close(self) -> None:
        # waitress closes some twice; then there is no socket any more
        if not (self.draining and self.socket and self._unacknowledged()):
            super().handle_close()

    def close_if_quiet(self, now: float) -> None:
        """Close it if it carries no request, and has carried none for a while."""
        if self.requests or self.request or self.total_outbufs_len:
            return
        if now - self.last_activity > QUIET and not self._has_input():
            self.handle_close()

    def _has_input(self) -> bool:
        with suppress(OSError):
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        return False

    def _unacknowledged(self) -> int:
        """How many bytes are still in the kernel, which drops them when a container ends."""
        with suppress(ImportError, OSError):  # Windows; a connection that its client has reset
            from fcntl import ioctl
            from termios import TIOCOUTQ

            self.socket.getpeername()  # the kernel still counts what a reset has dropped
            (count,) = struct.unpack("i", ioctl(self.socket, TIOCOUTQ, b"\0" * 4))
            return int(count)
        return 0


def drain(connections: dict[int, Any], deadline: float) -> int:
    """Stop listening, and go on until no connection is left; return how many are.

    `connections` is the map of a waitress, by descriptor. `deadline` is of `time.monotonic`.
    """
    # `select` takes no descriptor above 1,023, which what was accepted last may have.
    poll = wasyncore.poll2 if hasattr(select, "poll") else wasyncore.poll
    for server in _all(BaseWSGIServer, connections):
        _accept_all(server)
        wasyncore.dispatcher.close(server)  # not server.close(): its trigger is still pulled
    for channel in _all(Channel, connections):
        channel.draining = True
    while left := _all(Channel, connections):
        if time.monotonic() > deadline:
            return len(left)
        poll(TURN, connections)
        now = time.time()
        for channel in _all(Channel, connections):
            channel.close_if_quiet(now)
        time.sleep(TURN)  # a client that is slow to acknowledge leaves its socket writable
    return 0


def _all(kind: type, connections: Mapping[int, Any]) -> list[Any]:
    return [each for each in connections.values() if isinstance(each, kind)]


def _accept_all(server: BaseWSGIServer) -> None:
    """Accept what the kernel has accepted already: it would be reset, its request unanswered."""
    before = -1
    while before < (before := len(server.active_channels)):
        server.handle_accept()
