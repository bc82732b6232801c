"""production.ini as it is deployed: `pserve` processes, PostgreSQL, and nginx with TLS."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from sessionsite.cli import main
from tests.harness import free_port
from tests.harness.nginx import Nginx, start_nginx
from tests.harness.postgres import Postgres
from tests.harness.production import (
    FORWARDED,
    PRODUCTION,
    Browser,
    create_table,
    needs_another_address,
    production_ini,
    start_worker,
)
from tests.harness.pserve import Pserve
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]


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
    each_server: None, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
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
        with required():
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

    with start_worker(tmp_path, PRODUCTION, **env) as worker:
        browser = Browser(worker.url)
        assert browser.get("/").status == browser.get("/healthz").status == 200
        assert browser.get("/about").history == [f"{worker.url}/about", f"{worker.url}/"]
        if form == "sqlite":
            with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection:
                assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
