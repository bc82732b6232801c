"""deploy/nginx.conf, in front of an app that tells what reached it."""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness import can_bind, free_port
from tests.harness.nginx import Nginx, start_nginx
from tests.harness.probe import serve, write_probe
from tests.harness.skipping import started

pytestmark = pytest.mark.servers


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_probe(tmp_path)


def ask(
    server: Nginx, method: str = "GET", path: str = "/", *, host: str = "", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer to a request over TLS; an underscore in a header's name is a hyphen."""
    trust = ssl.create_default_context(cafile=server.certificate)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection(
        "localhost", server.https_port, context=trust, timeout=20
    )
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or server.url.removeprefix("https://"))
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


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
    )
    seen = json.loads(body)

    assert seen["host_url"] == site.url
    assert seen["client"] == "127.0.0.1"
    assert "evil" not in body.decode()
    assert "203.0.113.9" not in body.decode()


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


def test_a_large_body_is_refused(site: Nginx) -> None:
    assert ask(site, "POST", Content_Length="20000")[0].status == 413


def test_pages_are_not_compressed(site: Nginx) -> None:
    response, _ = ask(site, Accept_Encoding="gzip")

    assert "Content-Encoding" not in response.headers


def test_cookies_are_not_logged(site: Nginx) -> None:
    ask(site, path="/logged", Cookie="session=secret", Referer="https://localhost/secret")
    site.stop()

    assert '"GET /logged HTTP/1.1" 200' in site.access_log.read_text()
    assert "secret" not in site.access_log.read_text() + site.output()
