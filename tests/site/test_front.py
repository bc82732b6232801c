"""What granian's requests become on their way to an app, and its answers on theirs, in this thread.

That both arrive is for tests/functional/test_granian.py, on granian itself.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from sessionsite.servers.front import LARGE, Front

Answer = tuple[int, list[tuple[str, str]], bytes]


class Protocol:
    """Keeps what granian would send."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.sent: Answer = status, headers, body

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        chunks = []
        try:
            while True:
                chunks.append(next(body))
        except StopIteration:
            body.close()
        self.sent = status, [*headers, ("streamed", "")], b"".join(chunks)


def environ(**changes: Any) -> dict[str, Any]:
    """As granian makes it."""
    return {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "6543",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "localhost",
        "wsgi.input": BytesIO(changes.pop("body", b"")),
        **changes,
    }


def answer(app: Any, *, draining: bool = False, prefix: str = "", **changes: Any) -> Answer:
    front = Front(app, max_body=10, max_header=8192, url_prefix=prefix)
    front.draining = draining
    protocol = Protocol()
    front(protocol, environ(**changes))
    assert front.running == set()
    return protocol.sent


def seen(prefix: str = "", **changes: Any) -> dict[str, Any]:
    """The environ that reaches an app."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", [])
        return []

    assert answer(app, prefix=prefix, **changes)[0] == 200
    return found


REFUSED = [
    ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ({"HTTP_COOKIE": ""}, 400),
    ({"PATH_INFO": "*"}, 400),
    ({"PATH_INFO": ""}, 400),
    ({"CONTENT_LENGTH": "11", "body": b"12345678901"}, 413),
    ({"CONTENT_LENGTH": "4", "body": b"abc"}, 400),
    ({"HTTP_X": "x" * 8192}, 431),
    ({f"HTTP_{number:>090}": "" for number in range(100)}, 431),
]


@pytest.mark.parametrize(("changes", "status"), REFUSED)
def test_what_granian_lets_through_reaches_no_app(changes: dict[str, Any], status: int) -> None:
    found, headers, _ = answer(None, **changes)
    assert found == status
    assert ("Connection", "close") in headers


def test_an_app_gets_what_wsgi_promises_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_X_FROM", "hidden")
    found = seen()
    assert {
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }.items() <= found.items()
    assert "HTTP_X_FROM" not in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"CONTENT_LENGTH": "3", "body": b"abc"}, {"body": b"abc"}),
        ({"CONTENT_LENGTH": "0", "body": b"abc"}, {"body": b""}),
        ({"PATH_INFO": "///a"}, {"PATH_INFO": "/a"}),
        ({"prefix": "/p", "PATH_INFO": "/p"}, {"SCRIPT_NAME": "/p", "PATH_INFO": ""}),
        ({"prefix": "/p", "PATH_INFO": "/p/a"}, {"SCRIPT_NAME": "/p", "PATH_INFO": "/a"}),
        ({"prefix": "/p", "PATH_INFO": "/pa"}, {"SCRIPT_NAME": "/p", "PATH_INFO": "/pa"}),
        ({"SERVER_PROTOCOL": "HTTP/1"}, {"SERVER_PROTOCOL": "HTTP/1.0"}),
        ({"HTTP_COOKIE": "a=b"}, {"HTTP_COOKIE": "a=b"}),
    ],
)
def test_the_environ_is_as_on_waitress(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expected.items() <= seen(**changes).items()


def test_a_host_that_is_missing_is_missing() -> None:
    assert "HTTP_HOST" not in seen(HTTP_HOST="")


class Body:
    """Chunks, and whether they were closed."""

    def __init__(self, *chunks: bytes, fails: bool = False) -> None:
        self.chunks, self.fails, self.closed = chunks, fails, False

    def __iter__(self) -> Iterator[bytes]:
        if self.fails:
            raise ValueError("no chunk")
        yield from self.chunks

    def close(self) -> None:
        self.closed = True


def test_a_short_body_goes_at_once_and_a_long_one_by_its_chunks() -> None:
    for length, streamed in (("2", False), (str(LARGE), False), (str(LARGE + 1), True), ("", True)):
        body = Body(b"a", b"b")

        def app(_: Any, start: Any, length: str = length, body: Body = body) -> Any:
            start("200 OK", [("Content-Type", "a"), *([("Content-Length", length)] * bool(length))])
            return body

        _, headers, sent = answer(app)
        assert sent == b"ab"
        assert (("streamed", "") in headers) == streamed
        assert body.closed


@pytest.mark.parametrize("draining", [False, True])
def test_only_while_the_process_stops_the_connection_closes(draining: bool) -> None:
    headers = [("X-Name", "a\tb")]

    def app(_: Any, start: Any) -> list[bytes]:
        start("200 OK", headers)
        return [b"a", b"b"]

    assert answer(app, draining=draining) == (
        200, [*headers, *([("Connection", "close")] * draining)], b"ab"
    )  # fmt: skip
    assert headers == [("X-Name", "a\tb")]


@pytest.mark.parametrize("value", ["h\xe9", "a\r\nb: c", "a\0", "\x7f"])
def test_a_header_that_granian_would_not_take_is_the_apps_error(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(_: Any, start: Any) -> list[bytes]:
        start("200 OK", [("X-Name", value)])
        return []

    assert answer(app)[0] == 500
    assert "a header of the response is not ASCII" in caplog.text


def test_a_body_that_fails_is_closed_and_a_500(caplog: pytest.LogCaptureFixture) -> None:
    body = Body(fails=True)

    def app(_: Any, start: Any) -> Any:
        start("200 OK", [])
        return body

    assert answer(app)[0] == 500
    assert body.closed
    assert "ValueError: no chunk" in caplog.text
