"""A waitress that stops, in this process: what it does with each connection."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from waitress import create_server, wasyncore

from sessionsite.servers.draining import Channel, drain

LARGE = 200_000  # bytes: the kernel takes them, and the client's, whose buffer is small, does not


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = b"x" * (LARGE if environ["PATH_INFO"] == "/large" else 1)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Served:
    """A waitress that goes round its loop where a test says so."""

    def __init__(self) -> None:
        self.connections: dict[int, Any] = {}
        self.server = create_server(app, map=self.connections, listen="127.0.0.1:0")
        self.server.channel_class = Channel
        self.clients: list[socket.socket] = []

    def connect(self, receive: int = 0) -> socket.socket:
        client = socket.socket()
        self.clients.append(client)
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.settimeout(10)
        client.connect(("127.0.0.1", int(self.server.effective_port)))
        return client

    def turn(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not until():
            assert time.monotonic() < deadline
            wasyncore.loop(timeout=0.01, map=self.connections, count=1)

    @property
    def channels(self) -> list[Channel]:
        return list(self.server.active_channels.values())

    def drain(self, seconds: float = 10) -> int:
        return drain(self.connections, time.monotonic() + seconds)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.task_dispatcher.shutdown()
        wasyncore.close_all(self.connections)


@pytest.fixture
def served() -> Iterator[Served]:
    with closing(Served()) as served:
        yield served


def received(client: socket.socket) -> bytes:
    answer = b""
    while chunk := client.recv(65536):
        answer += chunk
    return answer


def test_a_connection_that_the_kernel_has_accepted_is_served_and_no_further_one(
    served: Served,
) -> None:
    clients = [served.connect() for _ in range(5)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served.channels == []
    assert served.drain() == 0
    for client in clients:
        answer = received(client)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
        assert answer.endswith(b"\r\n\r\nx")
    with pytest.raises(ConnectionRefusedError):
        served.connect()


def test_a_request_of_which_a_part_has_come_is_waited_for(served: Served) -> None:
    client = served.connect()
    client.sendall(b"GET / HTTP/1.1\r\n")
    served.turn(lambda: any(each.request for each in served.channels))
    for channel in served.channels:
        channel.last_activity = 0
    assert served.drain(0.1) == 1
    client.sendall(b"Host: a\r\n\r\n")
    assert served.drain() == 0
    assert received(client).endswith(b"\r\n\r\nx")


def test_a_quiet_connection_is_closed_unless_a_request_has_just_come(served: Served) -> None:
    quiet, busy = served.connect(), served.connect()
    served.turn(lambda: len(served.channels) == 2)
    busy.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    now = time.time()
    for channel in served.channels:
        channel.close_if_quiet(now)  # both were used a moment ago
    assert len(served.channels) == 2
    for channel in served.channels:
        channel.last_activity = 0
        channel.close_if_quiet(now)
    assert len(served.channels) == 1
    assert quiet.recv(1) == b""
    assert served.drain() == 0
    assert received(busy).endswith(b"\r\n\r\nx")


def large_answer(served: Served) -> socket.socket:
    """A client to which all has been sent that it has asked for, and which has not read it."""
    client = served.connect(receive=4096)
    client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    served.turn(lambda: bool(served.channels))
    (channel,) = served.channels
    channel.draining = True
    served.turn(lambda: bool(channel.will_close))
    assert channel.total_outbufs_len == 0
    return client


def test_it_does_not_end_before_its_clients_have_all_that_was_sent(served: Served) -> None:
    client = large_answer(served)
    assert served.drain(0.1) == 1
    assert len(client.recv(LARGE, socket.MSG_PEEK)) < LARGE  # the rest is in this kernel's hands
    client.settimeout(0.2)
    answer = b""
    while served.drain(0.1):  # the kernel of the client has it once the client reads
        answer += client.recv(65536)
    assert len(answer + received(client)) > LARGE


def test_a_client_that_has_gone_is_not_waited_for(served: Served) -> None:
    client = large_answer(served)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    client.close()
    assert served.drain() == 0
