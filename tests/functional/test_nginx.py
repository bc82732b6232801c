"""deploy/nginx.conf, in front of an app that tells what reached it."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness import can_bind, free_port
from tests.harness.nginx import Nginx, start_nginx
from tests.harness.probe import serve, write_probe
from tests.harness.pserve import start_development
from tests.harness.skipping import started
from tests.harness.tls_client import SECURITY, ask, check_headers, raw

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_probe(tmp_path)


@pytest.fixture
def site(config: Path, tmp_path: Path) -> Iterator[Nginx]:
    """nginx before one process that serves and one that does not."""
    directory = tmp_path / "nginx"
    directory.mkdir()
    with serve(config) as backend:
        ports = [backend.port, free_port()]
        with started(start_nginx, directory, ports) as server:
            yield server


def test_the_site_sees_the_public_url_and_the_client(site: Nginx) -> None:
    _, body = ask(site, path="/about?a=%20b")
    seen = json.loads(body)

    assert seen["url"] == f"https://localhost:{site.https_port}/about?a=%20b"
    assert seen["client"] == "127.0.0.1"


def test_the_public_url_has_no_port_where_it_is_the_usual_one(config: Path, tmp_path: Path) -> None:
    if not can_bind(443):
        pytest.skip("port 443 is taken, or for root alone")
    directory = tmp_path / "nginx"
    directory.mkdir()
    with (
        serve(config) as backend,
        started(start_nginx, directory, [backend.port], https_port=443) as server,
    ):
        seen = json.loads(ask(server)[1])

    assert seen["host_url"] == "https://localhost"
    assert seen["headers"]["Host"] == "localhost"


def test_what_a_client_says_of_itself_is_not_passed_on(site: Nginx) -> None:
    _, body = ask(
        site,
        X_Forwarded_For="203.0.113.9",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Port="1",
        X_Forwarded_Proto="http",
        X_Forwarded_By="evil.example",
        Forwarded="for=203.0.113.9;host=evil.example;proto=http",
        X_Request_ID="evil",
    )
    seen = json.loads(body)

    assert seen["host_url"] == site.url
    assert seen["client"] == "127.0.0.1"
    assert "evil" not in body.decode()
    assert "203.0.113.9" not in body.decode()


def test_a_name_with_an_underscore_is_not_passed_on(site: Nginx) -> None:
    """granian takes it for the one with a hyphen."""
    names = ("For: 203.0.113.9", "Host: evil.example", "Proto: http", "Port: 1")
    lines = "".join(f"X_Forwarded_{name}\r\n" for name in names)
    request = f"GET / HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n"
    text = raw(site.https_port, request.encode(), site.certificate)
    seen = json.loads(text.partition("\r\n\r\n")[2])

    assert (seen["host_url"], seen["client"]) == (site.url, "127.0.0.1")
    assert "evil" not in text
    assert "203.0.113.9" not in text


def test_a_request_has_one_id_in_both_logs(site: Nginx) -> None:
    seen = json.loads(ask(site, path="/one")[1])

    assert len(seen["headers"]["X-Request-Id"]) == 32
    assert site.logged("GET /one ").endswith(f" {seen['headers']['X-Request-Id']}")


def test_a_host_header_beside_an_absolute_url_is_not_believed(site: Nginx) -> None:
    _, body = ask(site, path=f"{site.url}/about", host="evil.example")

    assert json.loads(body)["url"] == f"{site.url}/about"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_another_host_name_gets_no_answer(site: Nginx, host: str) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(site, host=host)


def test_another_name_in_the_handshake_gets_no_certificate(site: Nginx) -> None:
    trust = ssl.create_default_context(cafile=site.certificate)
    with (
        socket.create_connection(("127.0.0.1", site.https_port), timeout=10) as connection,
        pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"),
    ):
        trust.wrap_socket(connection, server_hostname="evil.example")


def test_plain_http_is_sent_to_https(site: Nginx) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.http_port, timeout=10)
    connection.request("GET", "/about?a=b", headers={"Host": "localhost"})
    response = connection.getresponse()
    connection.close()

    assert response.status == 301
    assert response.headers["Location"] == f"{site.url}/about?a=b"


def test_a_process_that_is_down_is_passed_over_by_every_method(site: Nginx) -> None:
    assert {ask(site)[0].status for _ in range(6)} == {200}
    assert {ask(site, "POST", Content_Length="0")[0].status for _ in range(6)} == {200}


def test_a_post_that_was_sent_is_not_sent_again(config: Path, tmp_path: Path) -> None:
    hung_up_on: list[str] = []

    class HangUp(BaseHTTPRequestHandler):
        def handle(self) -> None:
            hung_up_on.append(self.rfile.readline().decode().split()[0])

    directory = tmp_path / "nginx"
    directory.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), HangUp) as broken, serve(config) as backend:
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        with started(start_nginx, directory, [broken.server_port, backend.port]) as server:
            gets = [ask(server)[0].status for _ in range(4)]
            posts = [ask(server, "POST", Content_Length="0")[0].status for _ in range(4)]
            served = json.loads(ask(server)[1])["posts"]
        broken.shutdown()

    assert gets == [200] * 4
    assert sorted(posts) == [200, 200, 502, 502]
    assert served == 2
    assert hung_up_on.count("POST") == 2


def test_a_response_with_a_full_cookie_passes(site: Nginx) -> None:
    response, _ = ask(site, path="/?header=8000")

    assert len(response.headers["X-Session"]) == 8000


def test_bounds_a_large_body_is_refused(site: Nginx) -> None:
    assert ask(site, "POST", Content_Length="20000")[0].status == 413


def test_pages_are_not_compressed(site: Nginx) -> None:
    response, _ = ask(site, Accept_Encoding="gzip")

    assert "Content-Encoding" not in response.headers


def test_cs_log_cookies_are_not_logged(site: Nginx) -> None:
    ask(site, path="/logged", Cookie="session=secret", Referer="https://localhost/secret")
    site.stop()

    assert '"GET /logged HTTP/1.1" 200' in site.access_log.read_text()
    assert "secret" not in site.access_log.read_text() + site.output()


BAD_REQUESTS = {
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n": 413,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000 + b"\r\n\r\n": 400,
    b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"nonsense\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n\r\n": 501,
}


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=lambda request: ascii(request[:50]))
@pytest.mark.parametrize("https", [True, False])
def test_headers_nginxs_own_errors_have_the_sites(
    site: Nginx, request_: bytes, https: bool
) -> None:
    where = (site.https_port, request_, site.certificate) if https else (site.http_port, request_)
    status = BAD_REQUESTS[request_]
    if not https and status == 413:
        status = 301  # the body is of no account there
    check_headers(raw(*where), status, https=https)


def test_headers_plain_http_at_the_port_of_https_has_them(site: Nginx) -> None:
    answer = raw(site.https_port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    check_headers(answer, 400, https=answer.count("Strict") > 0)


def test_headers_no_process_at_all_is_a_page_with_them(tmp_path: Path) -> None:
    with started(start_nginx, tmp_path, [free_port()]) as server:
        answer = raw(
            server.https_port,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            server.certificate,
        )
    check_headers(answer, 502, https=True)


def test_headers_the_sites_own_are_left_alone(config: Path, tmp_path: Path) -> None:
    """Each once, and HSTS as the site has it: not at all."""
    directory = tmp_path / "nginx"
    directory.mkdir()
    with (
        start_development(tmp_path) as backend,
        started(start_nginx, directory, [backend.port]) as server,
    ):
        answers = [ask(server, path=path)[0] for path in ("/", "/nothing")]
    for response in answers:
        for name in SECURITY:
            assert len(response.headers.get_all(name, [])) == 1
        assert "style-src 'self'" in response.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in response.headers


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
@pytest.mark.parametrize("way", ["http", "https", "no handshake"])
def test_bounds_a_client_that_sends_no_headers_is_left(
    tmp_path: Path, way: str, sent: bytes
) -> None:
    if way == "no handshake" and sent:
        sent = b"\x16"
    shorter = {r"client_header_timeout 15s": "client_header_timeout 1s"}
    with started(start_nginx, tmp_path, [1], changes=shorter) as server:
        start = time.monotonic()
        port = server.http_port if way == "http" else server.https_port
        raw(port, sent, server.certificate if way == "https" else None)
        assert 0.8 < time.monotonic() - start < 5
