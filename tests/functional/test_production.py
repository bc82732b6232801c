"""production.ini as it is deployed: `pserve` processes, PostgreSQL, and nginx with TLS."""

import html
import http.client
import re
import socket
import sqlite3
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest

from sessionsite.cli import main
from tests.conftest import ROOT
from tests.harness import free_port
from tests.harness.nginx import Nginx, start_nginx
from tests.harness.postgres import Postgres
from tests.harness.pserve import Pserve, start_pserve
from tests.harness.stores import sql_store

PRODUCTION = ROOT / "production.ini"
SECRET = "only-the-tests-of-production-know-this-one"
FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "elsewhere.example",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Proto": "https",
    "Forwarded": "for=203.0.113.9;host=elsewhere.example;proto=https",
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def history(self) -> list[str]:
        listed = re.search("<ol>(.*)</ol>", self.text, re.DOTALL)
        return [
            html.unescape(url) for url in re.findall('href="(.*?)"', listed[1] if listed else "")
        ]


class Browser:
    """A visitor: a connection for each request, and the cookies, Secure ones on http too."""

    def __init__(self, url: str, certificate: Path | None = None) -> None:
        self.cookies: dict[str, str] = {}
        self._where = urlsplit(url)
        self._trust = ssl.create_default_context(cafile=certificate) if certificate else None

    def get(
        self, path: str = "/", headers: Mapping[str, str] | None = None, source: str = "127.0.0.1"
    ) -> Answer:
        host, port = self._where.hostname or "", self._where.port
        options: dict[str, Any] = {"timeout": 30, "source_address": (source, 0)}
        if self._trust:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, context=self._trust, **options
            )
        else:
            connection = http.client.HTTPConnection(host, port, **options)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": cookies} if cookies else {}
        with closing(connection):
            connection.request("GET", path, headers=sent | dict(headers or {}))
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(response.status, response.headers, text)


def production_ini(directory: Path, *lines: str) -> Path:
    """A copy of production.ini, these lines in its [app:main] instead of those of the same key."""
    text = PRODUCTION.read_text("utf-8")
    for line in lines:
        text = re.sub(rf"(?m)^{re.escape(line.partition(' =')[0])} = .*\n", "", text)
    head = "[app:main]\nuse = egg:sessionsite\n"
    assert head in text
    config = directory / "copy.ini"
    config.write_text(text.replace(head, head + "".join(f"{line}\n" for line in lines)), "utf-8")
    return config


def start_worker(directory: Path, config: Path = PRODUCTION, **env: str) -> Pserve:
    """A further process, as production.ini says to start one."""
    args = ["--server-name=worker", f"http_port={free_port()}"]
    return start_pserve(
        config, env={"SESSION_SECRET": SECRET} | env, args=args, directory=directory
    )


def create_table(url: str) -> None:
    sql_store(url).engine.dispose()


def needs_another_address() -> None:
    """Skip the test where 127.0.0.2 is no address of this machine (macOS)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("this machine has one loopback address")


@dataclass(frozen=True)
class Deployment:
    """Two processes behind nginx, on one database."""

    nginx: Nginx
    workers: list[Pserve]
    database: str

    def browser(self) -> Browser:
        return Browser(self.nginx.url, self.nginx.certificate)


@pytest.fixture(scope="module")
def deployed(
    postgres: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
    missing_is_a_skip: Callable[[], AbstractContextManager[None]],
) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("deployed")
    (directory / "nginx").mkdir()
    config = production_ini(directory, "sessionsite.history_limit = 100")
    url = postgres.create_database("deployed")
    create_table(url)
    with ExitStack() as servers:
        workers = [
            servers.enter_context(start_worker(directory, config, DATABASE_URL=url))
            for _ in range(2)
        ]
        with missing_is_a_skip():
            nginx = start_nginx(directory / "nginx", [worker.port for worker in workers])
        yield Deployment(servers.enter_context(nginx), workers, url)


def test_the_history_shows_the_public_urls(deployed: Deployment) -> None:
    browser = deployed.browser()
    browser.get("/")
    page = browser.get("/about?a=%20b&c=d")
    assert page.status == 200
    assert page.history == [f"{deployed.nginx.url}/about?a=%20b&c=d", f"{deployed.nginx.url}/"]


def test_what_a_visitor_says_in_forwarded_headers_has_no_effect(deployed: Deployment) -> None:
    page = deployed.browser().get("/", FORWARDED)
    assert page.history == [f"{deployed.nginx.url}/"]
    assert "elsewhere.example" not in page.text


def test_forwarded_headers_count_from_the_proxys_address_alone(deployed: Deployment) -> None:
    worker = Browser(deployed.workers[0].url)
    from_proxy = worker.get("/", FORWARDED)
    assert from_proxy.history == ["https://elsewhere.example:444/"]
    assert "Strict-Transport-Security" in from_proxy.headers
    needs_another_address()
    from_another = Browser(deployed.workers[0].url).get("/", FORWARDED, source="127.0.0.2")
    assert from_another.history == [f"{deployed.workers[0].url}/"]
    assert "Strict-Transport-Security" not in from_another.headers


def test_the_cookie_is_hardened_and_sent_once(deployed: Deployment) -> None:
    browser = deployed.browser()
    (cookie,) = browser.get("/").headers.get_all("Set-Cookie", [])
    pair, *attributes = cookie.split("; ")
    assert re.fullmatch(r"__Host-sessionsite=[\w-]+", pair)
    assert {a.lower() for a in attributes if not a.startswith("expires=")} == {
        "max-age=43200",
        "path=/",
        "secure",
        "httponly",
        "samesite=lax",
    }
    for _ in range(3):
        assert "Set-Cookie" not in browser.get("/about").headers


def test_every_visit_is_kept_while_a_process_is_killed_and_restarted(deployed: Deployment) -> None:
    browser = deployed.browser()
    seen = len(deployed.nginx.access_log.read_text().splitlines())
    for number in range(40):
        if number == 15:
            deployed.workers[0].kill()
        if number == 25:
            deployed.workers[0].start()
        page = browser.get(f"/?{number}")
        assert page.status == 200
    assert page.history == [f"{deployed.nginx.url}/?{number}" for number in reversed(range(40))]
    log = "".join(deployed.nginx.access_log.read_text().splitlines(keepends=True)[seen:])
    for worker in deployed.workers:
        assert log.count(f"127.0.0.1:{worker.port}") >= 10


def test_an_operator_reads_sessions_with_sql(deployed: Deployment) -> None:
    browser = deployed.browser()
    browser.get("/")
    url = f"{deployed.nginx.url}/contact?from=sql"
    browser.get("/contact?from=sql")
    with psycopg.connect(deployed.database.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            "SELECT created_at, seen_at, expires_at, json_array_length(payload->'history')"
            " FROM sessions WHERE payload->'history'->>0 = %s",
            [url],
        ).fetchall()
    ((created_at, seen_at, expires_at, visits),) = rows
    assert visits == 2
    assert datetime.now(UTC) - timedelta(minutes=1) < created_at < seen_at < datetime.now(UTC)
    assert abs(expires_at - created_at - timedelta(seconds=1200)) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "form",
    ["postgresql", "postgres", "postgresql+psycopg", "PG variables", "two hosts", "sqlite"],
)
def test_the_database_can_be_named_in_many_ways(
    form: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "sqlite":
        env = {"DATABASE_URL": f"sqlite:///{tmp_path}/sessions.db"}
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create_database("named")
        name = url.rpartition("/")[2]
        env = {"DATABASE_URL": url.replace("postgresql+psycopg", form)}
        if form == "two hosts":
            hosts = f"127.0.0.1:{free_port()},{server.host}:{server.port}"
            user = f"{quote(server.user, '')}:{quote(server.password, '')}"
            env = {"DATABASE_URL": f"postgresql://{user}@{hosts}/{name}"}
        elif form == "PG variables":
            env = {"PGHOST": server.host, "PGPORT": str(server.port), "PGDATABASE": name}
            env |= {"PGUSER": server.user, "PGPASSWORD": server.password}
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    assert main(["init-db", str(PRODUCTION)]) == 0

    with start_worker(tmp_path, **env) as worker:
        browser = Browser(worker.url)
        assert browser.get("/").status == browser.get("/healthz").status == 200
        assert browser.get("/about").history == [f"{worker.url}/about", f"{worker.url}/"]
        if form == "sqlite":
            with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
                assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
