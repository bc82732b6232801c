"""Only the site's own names are answered, whatever a request says and wherever it says it."""

import socket
from contextlib import suppress
from typing import Any

import pytest
from pyramid.paster import get_app

import sessionsite
from sessionsite.sessions import ConfigurationError
from tests.harness.production import PRODUCTION, SECRET, create_table, start_worker
from tests.harness.pserve import Pserve, start_development
from tests.harness.sites import Site
from tests.security.wsgi import send

PATHS = ["/", "/about", "/nothing", "/static/site.css", "/favicon.ico", "/_debug_toolbar/"]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example"]
)
@pytest.mark.parametrize("path", PATHS)
def test_hosts_no_other_is_answered(site: Site, path: str, host: str) -> None:
    status, headers, text = send(site, path=path, HTTP_HOST=host)
    assert (status, "Set-Cookie" in headers) == (400, False)
    assert "<h1>Sessions - Bad request</h1>" in text
    assert "Content-Security-Policy" in headers
    assert "debug_toolbar" not in text.lower()


@pytest.mark.parametrize(
    "header", ["HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED", "HTTP_X_HOST", "HTTP_X_ORIGINAL_HOST"]
)
def test_hosts_no_other_header_names_one(site: Site, header: str) -> None:
    value = "host=localhost" if header == "HTTP_FORWARDED" else "localhost"
    assert send(site, HTTP_HOST="evil.example", **{header: value})[0] == 400
    _, _, text = send(site, **{header: value.replace("localhost", "evil.example")})
    assert f'<a href="{site.url}/">' in text
    assert "evil" not in text


def test_hosts_a_health_check_may_name_any(site: Site) -> None:
    for host in (None, "evil.example", "10.0.0.1:6543"):
        status, headers, text = send(site, path="/healthz", HTTP_HOST=host)
        assert (status, "Set-Cookie" in headers) == (200, False)
        assert text == '{"status": "ok"}'


def test_hosts_an_app_that_names_none_is_for_this_machine_alone() -> None:
    site = Site("development", sessionsite.main({}))
    for host in ("localhost:1", "127.0.0.1", "[::1]:6543"):
        assert send(site, HTTP_HOST=host)[0] == 200
    assert send(site, HTTP_HOST="evil.example")[0] == 400


def test_hosts_any_name_is_said_on_purpose() -> None:
    site = Site("development", sessionsite.main({}, **{"sessionsite.allowed_hosts": "*"}))
    assert send(site, HTTP_HOST="any.example")[0] == 200
    assert send(site, HTTP_HOST="a b")[0] == 400


@pytest.mark.parametrize("value", [None, ""])
def test_hosts_production_does_not_start_without(
    value: str | None, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    monkeypatch.delenv("SITE_HOSTS", raising=False)
    if value is not None:
        monkeypatch.setenv("SITE_HOSTS", value)
    with pytest.raises(ConfigurationError, match=r"allowed_hosts .*: set SITE_HOSTS"):
        get_app(str(PRODUCTION))


def ask(port: int, target: str, *headers: str) -> tuple[int, str]:
    """The status and the text of the answer to a request written by hand."""
    lines = [f"GET {target} HTTP/1.1", *headers, "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
    return int(answer.split()[1]) if answer else 0, answer.decode()


@pytest.fixture(scope="module", params=["development", "production"])
def server(request: Any, each_server: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("server")
    if request.param == "production":
        url = f"sqlite:///{directory}/sessions.db"
        create_table(url)
        with start_worker(directory, DATABASE_URL=url, SITE_HOSTS="localhost") as worker:
            yield worker
        return
    with start_development(directory) as server:
        yield server


@pytest.mark.servers
class TestServer:
    def test_hosts_the_header_counts_in_a_request_for_a_whole_url(self, server: Pserve) -> None:
        """It is the one that the pages show: the target's is never used."""
        status, _ = ask(server.port, "http://localhost/", "Host: evil.example")
        assert status == 400
        status, text = ask(server.port, "http://evil.example/about", "Host: localhost")
        assert status == 200
        assert '<a href="http://localhost/about">' in text
        assert "evil" not in text

    def test_hosts_two_headers_name_none(self, server: Pserve) -> None:
        assert ask(server.port, "/", "Host: localhost", "Host: evil.example")[0] == 400
        assert ask(server.port, "/", "Host: evil.example", "Host: localhost")[0] == 400

    def test_hosts_what_is_forwarded_counts_from_the_proxy_and_is_checked(
        self, server: Pserve
    ) -> None:
        """In production 127.0.0.1 is the proxy; development.ini has none."""
        forwarded = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"]
        status, text = ask(server.port, "/", "Host: localhost", *forwarded)
        if any("--server-name" in word for word in server.command):
            assert status == 400
        else:
            assert status == 200
            assert '<a href="http://localhost/">' in text
        assert "evil" not in text

    def test_bounds_a_large_body_or_header_is_refused_by_the_server(self, server: Pserve) -> None:
        host = "Host: localhost"
        assert ask(server.port, "/", host, "Content-Length: 20000000")[0] == 413
        assert ask(server.port, "/", host, f"X-Large: {'x' * 60_000}")[0] == 200
        # 0: the server has hung up before it had read all, and its answer is lost
        assert ask(server.port, "/", host, f"X-Large: {'x' * 70_000}")[0] in (431, 0)
