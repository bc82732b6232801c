"""What an app finds on `egg:sessionsite#granian`, and what its section refuses."""

import http.client
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from sessionsite.sessions import ConfigurationError
from tests.harness import free_port
from tests.harness.observing import until
from tests.harness.probe import serve, write_probe
from tests.harness.pserve import Pserve, Section, start_pserve

APP = """
import time

closed = []

class Body:
    def __init__(self, chunks):
        self.chunks = chunks
    def __iter__(self):
        return iter(self.chunks)
    def close(self):
        closed.append(1)

def late(start_response):
    start_response("201 Created", [("X-Late", "1")])
    yield b"late"

def failing(start_response):
    start_response("200 OK", [])
    raise ValueError("a view")
    yield

def app(environ, start_response):
    name = environ["PATH_INFO"]
    if name == "/late":
        return late(start_response)
    if name == "/fail":
        raise ValueError("a view")
    if name == "/fail-late":
        return failing(start_response)
    if name == "/refused":
        try:
            start_response("200 OK", [("X-Name", "h\\xe9")])
        except ValueError as exc:
            start_response("500 Error", [("X-Name", str(exc))], True)
            return [b""]
    if name == "/tab":
        start_response("200 OK", [("X-Name", "a\\tb")])
        return [b""]
    body = {"/small": [b"a", b"b"], "/large": [b"x" * 2**20] * 3}.get(name)
    if body is not None:
        start_response("200 OK", [("Content-Length", str(sum(map(len, body))))])
        return Body(body if environ["REQUEST_METHOD"] != "HEAD" else [])
    if name == "/slow":
        time.sleep(float(environ["QUERY_STRING"]))
        print("slept", flush=True)
    if name == "/stream":
        start_response("200 OK", [("X-Kind", "stream")])
        return Body([b"a", b"b"])
    text = f"{environ['SCRIPT_NAME']}|{name}|{len(closed)}".encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]

def main(global_config, **settings):
    return app
"""
INI = """
[app:main]
paste.app_factory = shapes:main

[server:main]
use = egg:sessionsite#granian
listen = {listen}
url_prefix = /below
channel_timeout = 1
stop_timeout = 2
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pserve]:
    directory = tmp_path_factory.mktemp("shapes")
    (directory / "shapes.py").write_text(APP)
    config = directory / "shapes.ini"
    config.write_text(INI.format(listen="127.0.0.1:%(http_port)s"))
    env = {"PYTHONPATH": str(directory)}
    args = [f"http_port={free_port()}"]
    with start_pserve(config, env=env, args=args, directory=directory) as server:
        yield server


def get(server: Pserve, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()


pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/below", b"/below||"),
        ("/below/a", b"/below|/a|"),
        ("/belowa", b"/below|/belowa|"),
        ("/other", b"/below|/other|"),
    ],
)
def test_a_prefix_is_taken_off_the_path(server: Pserve, path: str, seen: bytes) -> None:
    assert get(server, path)[2].startswith(seen)


@pytest.mark.parametrize(("path", "length"), [("/small", 2), ("/large", 3 * 2**20), ("/stream", 2)])
def test_a_body_of_any_shape_arrives_and_is_closed(server: Pserve, path: str, length: int) -> None:
    before = int(get(server, "/")[2].rpartition(b"|")[2])
    assert len(get(server, path)[2]) == length
    assert until(lambda: int(get(server, "/")[2].rpartition(b"|")[2]) == before + 1)


def test_to_head_the_answer_has_its_length_and_no_body(server: Pserve) -> None:
    _, headers, body = get(server, "/small", "HEAD")
    assert (headers["content-length"], body) == ("2", b"")


def test_an_app_may_answer_as_late_as_with_its_first_chunk(server: Pserve) -> None:
    status, headers, body = get(server, "/late")
    assert (status, headers["x-late"], body) == (201, "1", b"late")


@pytest.mark.parametrize("path", ["/fail", "/fail-late"])
def test_an_app_that_fails_is_a_500_and_a_line_in_the_log(server: Pserve, path: str) -> None:
    before = server.output()
    status, headers, body = get(server, path)
    assert (status, body) == (500, b"Internal Server Error\n")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert "ValueError: a view" in server.output().removeprefix(before)


def test_a_header_that_can_not_be_sent_is_an_error_that_the_app_can_answer(server: Pserve) -> None:
    status, headers, _ = get(server, "/refused")
    assert (status, headers["x-name"]) == (500, "a header of the response is not ASCII")
    assert get(server, "/tab")[1]["x-name"] == "a\tb"


def test_a_connection_may_be_silent_for_so_long(server: Pserve) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        assert idle.recv(1) == b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHo")
        while slow.recv(65536):
            pass


def test_bodies_that_do_not_come_hold_threads_until_their_clients_hang_up(server: Pserve) -> None:
    """Which is why nginx reads them first."""
    with ExitStack() as clients:
        slow = [
            clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            for _ in range(3)  # one less than threads
        ]
        for client in slow:
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert get(server, "/")[0] == 200
        for _ in range(5):  # more than all threads
            slow.append(clients.enter_context(socket.create_connection(("127.0.0.1", server.port))))
            slow[-1].sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    assert [get(server, "/")[0] for _ in range(8)] == [200] * 8


def test_a_request_that_takes_too_long_is_cut_off(server: Pserve) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /slow?20 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert get(server, "/")[0] == 200
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait() == 0
    assert "1 connections cut off: stop_timeout = 2 is over" in server.output()
    server.start()


def test_a_request_whose_client_has_left_is_waited_for(server: Pserve) -> None:
    before = server.output()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /slow?1 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert get(server, "/")[0] == 200
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait() == 0
    said = server.output().removeprefix(before)
    assert "slept" in said
    assert "cut off" not in said
    server.start()


def read(**settings: str) -> Any:
    from sessionsite.servers.granian import server_factory

    return server_factory({}, **settings)


@pytest.fixture
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.mark.usefixtures("no_signals")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": "0"}, r"workers = '0': give a whole number of processes \(at least 1\)"),
        ({"threads": "none"}, "threads = 'none': give a whole number of threads"),
        ({"max_request_header_size": "4096"}, "max_request_header_size = '4096': .*8192"),
        ({"listen": "127.0.0.1:1 127.0.0.1:2"}, "listen = .*: granian listens at one address"),
        ({"trusted_proxy_headers": "x-forwarded-for"}, "no meaning without setting trusted_proxy"),
        ({"trusted_proxxy": "*"}, "trusted_proxxy: is not a setting: did you mean trusted_proxy?"),
        ({"channel_request_lookahead": "1"}, "channel_request_lookahead: is not a setting"),
        ({"send_bytes": "1"}, "send_bytes: is not a setting: remove it"),
    ],
)
def test_a_wrong_key_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(**{"listen": "127.0.0.1:6543", **settings})


@pytest.mark.usefixtures("no_signals")
@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_an_address_that_is_taken_is_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address.strip("[]"), 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"can't listen at .*:{port}: Address already"
        ):
            read(listen=f"{address}:{port}")(None)


def test_without_granian_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("granian") or name.startswith("sessionsite.servers.granian"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sessionsite\[granian\]'"):
        importlib.import_module("sessionsite.servers.granian")


def test_untrusted_headers_are_dropped_unless_a_key_keeps_them(tmp_path: Path) -> None:
    config = write_probe(tmp_path)
    text = config.read_text().replace("clear_untrusted_proxy_headers = true\n", "")
    config.write_text(text.replace("trusted_proxy = 127.0.0.1", "trusted_proxy = 192.0.2.1"))
    with serve(config, section=Section.GRANIAN) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with closing(connection):
            forwarded = {"X-Forwarded-For": "203.0.113.9", "X_Forwarded_Proto": "https"}
            connection.request("GET", "/", headers=forwarded)
            told = json.loads(connection.getresponse().read())
    assert told["client"] == "127.0.0.1"
    assert "203.0.113.9" not in json.dumps(told)
    assert told["url"].startswith("http://")


def test_with_forwarded_alone_no_name_with_an_underscore_counts(tmp_path: Path) -> None:
    config = write_probe(tmp_path)
    text = config.read_text()
    trusted = "x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port"
    assert trusted in text
    config.write_text(text.replace(trusted, "forwarded"))
    with serve(config, section=Section.GRANIAN) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with closing(connection):
            said = {"Forwarded": "for=192.0.2.1;host=a.example;proto=https"}
            said |= {"X_Forwarded_For": "203.0.113.9", "X-Forwarded-Proto": "http"}
            connection.request("GET", "/", headers=said)
            told = json.loads(connection.getresponse().read())
    assert (told["client"], told["host_url"]) == ("192.0.2.1", "https://a.example")
    assert "203.0.113.9" not in json.dumps(told)
