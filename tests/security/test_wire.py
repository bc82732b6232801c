"""Bytes that no client sends, to each server: what it refuses, and what reaches an app."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.probe import serve, write_probe
from tests.harness.pserve import Pserve, Section

pytestmark = pytest.mark.servers

HEADERS = b"Host: localhost\r\nConnection: close\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEADERS
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"  # the connection stays
CHUNKED = b"\r\n3\r\nabc\r\n0\r\n\r\n"
INSIDE = b"GET /inside HTTP/1.1\r\n" + HEADERS + b"\r\n"
EVIL = b"203.0.113.9"


@pytest.fixture(scope="module", params=[Section.WAITRESS, Section.GRANIAN])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pserve]:
    config = write_probe(tmp_path_factory.mktemp("probe"))
    with serve(config, section=request.param) as server:
        yield server


def granian(server: Pserve) -> bool:
    return f"--server-name={Section.GRANIAN}" in server.command


def answers(server: Pserve, sent: bytes, *, end: bool = False) -> list[tuple[int, str]]:
    """The status and the body of each answer, until the server hangs up; `end`: the client has."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            connection.sendall(sent)
            if end:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except (BrokenPipeError, ConnectionResetError):  # it has not read all that was sent
            pass
    parts = re.split(r"HTTP/1\.[01] (?=\d{3} )", received.decode("latin-1"))[1:]
    return [(int(part[:3]), part.partition("\r\n\r\n")[2]) for part in parts]


def seen(server: Pserve, sent: bytes) -> dict[str, Any]:
    """What the app saw of the one request."""
    ((status, body),) = answers(server, sent)
    assert status == 200
    told: dict[str, Any] = json.loads(body)
    return told


REFUSED = {
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "no length at all": POST + b"Content-Length: \r\n\r\nabc",
    "a length without end": POST + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    "a large body": POST + b"Content-Length: 16385\r\n\r\n" + b"x" * 16385,
    "identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n" + CHUNKED,
    "two codings": POST + b"Transfer-Encoding: gzip, chunked\r\n" + CHUNKED,
    "two headers of codings": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"
    + CHUNKED,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n" + CHUNKED,
    "a chunk that is too long": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\n0\r\n\r\n",
    "a chunk's size in words": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a chunk's size with a sign": POST
    + b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
    "a bare CR": GET + b"X-A: b\rX-B: c\r\n\r\n",
    "a fold after the first line": b"GET / HTTP/1.1\r\n Host: b\r\nHost: localhost\r\n\r\n",
    "a NUL in a value": GET + b"X-A: b\0c\r\n\r\n",
    "a NUL in a name": GET + b"X-\0A: b\r\n\r\n",
    "a control character": GET + b"X-A: b\x01\x7fc\r\n\r\n",
    "a name that is not ASCII": GET + b"X-\xe9: b\r\n\r\n",
    "a space in a name": GET + b"X A: b\r\n\r\n",
    "no colon": GET + b"XA\r\n\r\n",
    "no name": GET + b": x\r\n\r\n",
    "no method": b"F@@ / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two spaces": b"GET  /  HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a line before": b"junk\r\n" + GET + b"\r\n",
    "large headers": GET + b"X-A: " + b"x" * 66000 + b"\r\n\r\n",
    "larger headers": GET + b"X-A: " + b"x" * 600_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_wire_is_refused_once_and_what_follows_is_no_request(server: Pserve, name: str) -> None:
    found = answers(server, REFUSED[name] + INSIDE)
    # 0 answers: the server has hung up before it had read all, and its answer is lost
    assert len(found) <= 1
    for status, body in found:
        assert status in (400, 411, 413, 431, 501)
        assert "inside" not in body


def test_wire_a_length_beside_a_coding_is_never_the_length(server: Pserve) -> None:
    """By the length, "0", and what follows would be the body; so it would be for a proxy."""
    found = answers(
        server,
        POST + b"Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INSIDE,
    )
    if granian(server):
        assert [status for status, _ in found] == [411]
    else:
        first, second = (json.loads(body) for _, body in found)
        assert first["posted"] == ""
        assert second["url"].endswith("/inside")


def test_wire_a_body_that_breaks_off_reaches_no_app(server: Pserve) -> None:
    before = seen(server, GET + b"\r\n")["posts"]
    for body in (
        b"Content-Length: 10\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ):
        for status, _ in answers(server, POST + body, end=True):
            assert status in (400, 411)
    assert seen(server, GET + b"\r\n")["posts"] == before


def test_wire_a_body_in_chunks_is_read_or_refused(server: Pserve) -> None:
    ((status, body),) = answers(
        server, POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n" + CHUNKED
    )
    if granian(server):
        assert status == 411
    else:
        assert json.loads(body)["posted"] == "abc"
    assert (
        seen(server, POST + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc")["posted"] == "abc"
    )


def test_wire_a_name_with_an_underscore_counts_as_its_documents_say(server: Pserve) -> None:
    """granian can't tell it from the other: nginx drops it, and `Forwarded` has no such double."""
    told = seen(server, GET + b"X_Forwarded_For: " + EVIL + b"\r\n\r\n")
    assert (told["client"] == EVIL.decode()) == granian(server)
    for header in (b"Content_Length: 3", b"Content_Type: x", b"Host_: y"):
        told = seen(server, GET + header + b"\r\n\r\n")
        assert told["host_url"] == "http://localhost"
        assert told["posted"] == ""


def test_wire_of_a_forwarded_header_the_proxys_own_part_counts(server: Pserve) -> None:
    for sent in (
        b"X-Forwarded-For: " + EVIL + b"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n",
        b"X-Forwarded-For: " + EVIL + b", 192.0.2.1\r\n\r\n",
    ):
        assert seen(server, GET + sent)["client"] == "192.0.2.1"


def test_wire_a_malformed_forwarded_header_is_refused(server: Pserve) -> None:
    assert [status for status, _ in answers(server, GET + b"X-Forwarded-Proto: x\r\n\r\n")] == [400]


def test_wire_several_cookie_headers_are_all_there(server: Pserve) -> None:
    cookie = seen(server, GET + b"Cookie: a=b\r\nCookie: c=d\r\n\r\n")["headers"]["Cookie"]
    assert re.split("[;,] ?", cookie) == ["a=b", "c=d"]


def test_wire_a_cookie_that_is_not_ascii_is_there_or_refused(server: Pserve) -> None:
    """Never is it gone without a word, and the session with it."""
    ((status, body),) = answers(server, GET + b"Cookie: a=\xe9; c=d\r\n\r\n")
    if granian(server):
        assert status == 400
    else:
        assert json.loads(body)["headers"]["Cookie"] == "a=\xe9; c=d"
    told = seen(server, GET + b"Referer: \xe9\r\nCookie: c=d\r\n\r\n")
    assert told["headers"]["Cookie"] == "c=d"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_wire_a_host_that_is_missing_is_missing(server: Pserve, version: bytes) -> None:
    told = seen(server, b"GET / HTTP/" + version + b"\r\nConnection: close\r\n\r\n")
    assert "Host" not in told["headers"]
    assert told["protocol"] == f"HTTP/{version.decode()}"


def test_wire_the_host_of_a_whole_url_counts_only_where_the_header_is_missing(
    server: Pserve,
) -> None:
    told = seen(server, b"GET http://other/x?y HTTP/1.1\r\n" + HEADERS + b"\r\n")
    assert told["url"] == "http://localhost/x?y"


def test_wire_two_hosts_are_no_host_that_a_site_has(server: Pserve) -> None:
    told = seen(server, GET + b"Host: other\r\n\r\n")
    assert told["headers"]["Host"].replace(" ", "") == "localhost,other"


def test_wire_slashes_in_front_are_one(server: Pserve) -> None:
    told = seen(server, b"GET ///other/x HTTP/1.1\r\n" + HEADERS + b"\r\n")
    assert told["url"] == "http://localhost/other/x"


@pytest.mark.parametrize("target", [b"*", b"x", b"localhost:443"])
def test_wire_a_target_that_is_no_path_is_never_the_home_page(
    server: Pserve, target: bytes
) -> None:
    for status, body in answers(
        server, b"OPTIONS " + target + b" HTTP/1.1\r\n" + HEADERS + b"\r\n"
    ):
        assert status == 400 or json.loads(body)["path"] not in ("", "/")


def test_wire_http_2_and_websockets_are_not_spoken(server: Pserve) -> None:
    for status, body in answers(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        assert status in (200, 400, 404)
        assert "h2" not in body
    for upgrade in (b"h2c", b"websocket"):
        asked = b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
        found = answers(server, POST + asked + b"HTTP2-Settings: AAMAAABk\r\n\r\n" + INSIDE)
        assert [status for status, _ in found] == [200, 200]


def test_wire_requests_that_follow_each_other_are_answered_in_order(server: Pserve) -> None:
    sent = b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(5))
    paths = [json.loads(body)["path"] for _, body in answers(server, sent + INSIDE)]
    assert paths == [*(f"/{n}" for n in range(5)), "/inside"]


def test_wire_no_variable_of_the_environment_is_in_the_environ(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = write_probe(tmp_path_factory.mktemp("environment"))
    secret = {"SESSION_SECRET": "hidden", "HTTP_X_FROM": "hidden", "REMOTE_USER": "hidden"}
    with serve(config, section=Section.GRANIAN, **secret) as server:
        told = seen(server, GET + b"\r\n")
    assert "hidden" not in json.dumps(told)
    assert not {"SESSION_SECRET", "HTTP_X_FROM", "REMOTE_USER"} & set(told["environ"])
