"""docs/deployment.md: its SQL makes what the code makes, and its .ini lines work."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from sessionsite.cli import main
from sessionsite.testing import record
from tests import ROOT
from tests.docs.blocks import blocks, take_one
from tests.docs.shell import SCRIPTS, App, Shell, commands
from tests.harness import free_port
from tests.harness.nginx import start_nginx
from tests.harness.observing import until
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
from tests.harness.skipping import required
from tests.harness.stores import sql_store

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text("utf-8")


TABLE = take_one("deployment.md", "The table by hand", "sql")
UNDER_A_PATH = take_one("deployment.md", "Under a path", "ini")
LOCATION = take_one("deployment.md", "Under a path", "nginx")
TRY = take_one("deployment.md", "Without PostgreSQL", "sh")
ASK = take_one("deployment.md", "Without PostgreSQL", "console")
OTHER_HOST = take_one("deployment.md", "A proxy on another host", "ini")


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def catalog(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that PostgreSQL says of the tables of a database, names of schemas aside."""
    queries = {
        "columns": "SELECT table_name, ordinal_position, column_name, data_type, is_nullable,"
        " column_default, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2",
        "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "constraints": "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "options": "SELECT relname, relkind, relpersistence, reloptions FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
    }
    with connect(url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in queries.items()}


def test_the_table_made_by_hand_is_the_one_that_init_db_makes(postgres: Postgres) -> None:
    by_hand, by_code = (postgres.create_database("docs") for _ in range(2))
    with connect(by_hand) as connection:
        connection.execute(TABLE)
    create_table(by_code)
    assert catalog(by_hand) == catalog(by_code)
    assert len(catalog(by_hand)["columns"]) == 21


@pytest.fixture
def roles(postgres: Postgres) -> Iterator[tuple[str, str]]:
    """The URLs of one database for two new roles: its owner, and one that owns nothing."""
    database = postgres.create_database("roles").rpartition("/")[2]
    names = [f"{kind}_{database}" for kind in ("owner", "server")]
    password = "% /:@?#,'\\\"é"
    with postgres.connect() as connection:
        for name in names:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(create.format(sql.Identifier(name), sql.Literal(password)))
        give = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        connection.execute(give.format(sql.Identifier(database), sql.Identifier(names[0])))
        where = f"{quote(password, '')}@{postgres.host}:{postgres.port}/{database}"
        owner, server = (f"postgresql://{name}:{where}" for name in names)
        yield owner, server
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database))
        connection.execute(drop)
        for name in names:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_role_that_owns_nothing_serves_and_prunes(
    roles: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, server = roles
    monkeypatch.setenv("DATABASE_URL", owner)
    assert main(["init-db", str(PRODUCTION)]) == 0
    store = sql_store(owner)
    expired = record().expires_at
    assert expired is not None

    grants = re.findall("(?m)^GRANT .* ON sessions(?:_status)? TO (?=sessionsite;)", DOCUMENT)
    with connect(owner) as connection:
        name = sql.Identifier(server.partition("://")[2].partition(":")[0])
        for grant in grants:
            connection.execute(sql.Composed([sql.SQL(grant), name]))

        config = production_ini(tmp_path, "session.prune_interval = 1")
        with start_worker(tmp_path, config, DATABASE_URL=server) as worker:
            browser = Browser(worker.url)
            browser.get("/")
            assert browser.get("/about").history == [f"{worker.url}/about", f"{worker.url}/"]
            store.create(record("swept", expires_at=expired.replace(year=2000)))
            assert until(lambda: "1 expired sessions removed" in worker.output())
            assert browser.get("/healthz").text == '{"status": "ok"}'
            assert "ERROR" not in worker.output()

        store.create(record("pruned", expires_at=expired.replace(year=2000)))
        monkeypatch.setenv("DATABASE_URL", server)
        assert main(["prune", str(PRODUCTION)]) == 0
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    store.engine.dispose()


def edited(directory: Path, ini: str) -> Path:
    """A copy of production.ini with the lines of a block of the document."""
    sections = dict(re.findall(r"(?m)^\[([\w:]+)\]\n((?:[^\[\n].*\n?)+)", ini))
    config = production_ini(directory, *sections.pop("app:main", "").splitlines())
    text = config.read_text("utf-8")
    for name, lines in sections.items():
        head, start, section = text.partition(f"[{name}]\n")
        assert start
        section, _, rest = section.partition("\n\n")
        for line in lines.splitlines():
            section = re.sub(rf"(?m)^{line.partition(' =')[0]} = .*\n", "", section) + f"\n{line}"
        text = f"{head}{start}{section}\n\n{rest}"
    config.write_text(text, "utf-8")
    return config


def test_the_site_works_under_a_path(
    postgres_url: str,
    tmp_path: Path,
) -> None:
    create_table(postgres_url)
    config = edited(tmp_path, UNDER_A_PATH)
    (tmp_path / "nginx").mkdir()
    with start_worker(tmp_path, config, DATABASE_URL=postgres_url) as worker:
        with required():
            location = {r"^    location / \{\n.*\n    \}\n": LOCATION}
            nginx = start_nginx(tmp_path / "nginx", [worker.port, worker.port], changes=location)
        with nginx:
            browser = Browser(nginx.url, nginx.certificate)
            there = browser.get("/sessions").headers["Location"]
            assert there == "https://localhost/sessions/"  # on the port of https
            assert browser.get("/about").status == 404
            home = browser.get("/sessions/")
            (cookie,) = home.headers.get_all("Set-Cookie", [])
            assert cookie.startswith("__Secure-sessionsite=")
            assert "Path=/sessions;" in cookie
            page = browser.get("/sessions/about?a=b")
            assert page.history == [
                f"{nginx.url}/sessions/about?a=b",
                f"{nginx.url}/sessions/",
            ]
            linked = re.findall('(?:href|action)="(/.*?)"', page.text)
            assert "/sessions/forget" in linked
            assert all(path.startswith("/sessions/") for path in linked)
            for path in set(linked) - {"/sessions/forget"}:
                assert browser.get(path).status == 200


@pytest.mark.servers
def test_the_proxy_can_be_on_another_host(sqlite_url: str, tmp_path: Path) -> None:
    needs_another_address()
    create_table(sqlite_url)
    lines = OTHER_HOST
    lines = lines.replace("192.0.2.10", "127.0.0.1").replace("192.0.2.20", "127.0.0.2")
    config = edited(tmp_path, lines)
    with start_worker(tmp_path, config, DATABASE_URL=sqlite_url) as worker:
        from_proxy = Browser(worker.url).get("/", FORWARDED, source="127.0.0.2")
        assert from_proxy.history == ["https://elsewhere.example:444/"]
        from_another = Browser(worker.url).get("/", FORWARDED)
        assert from_another.history == [f"{worker.url}/"]


@pytest.mark.servers
def test_production_can_be_tried_without_postgresql(tmp_path: Path) -> None:
    port = free_port()
    ini = PRODUCTION.read_text("utf-8").replace(":6543", f":{port}")
    (tmp_path / "production.ini").write_text(ini, "utf-8")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(SCRIPTS)
    shell = Shell(tmp_path)
    *lines, serve = TRY.strip().splitlines()
    assert "Table sessions: created" in shell.run("\n".join(lines))
    ((ask, _),) = commands(ASK)
    with App(serve.removeprefix(".venv/bin/"), shell, port).start():
        answer = shell.run(ask.replace("6543", str(port)))
    assert answer.startswith("HTTP/1.1 200 OK")
    assert "Sessions - Home" in answer


def test_the_environment_file_has_the_variables_of_production_ini() -> None:
    (environment,) = (b for b in blocks("deployment.md") if b.heading == "Environment")
    variables = re.findall(r"\$\{(\w+)", PRODUCTION.read_text("utf-8"))
    assert set(re.findall(r"(?m)^(\w+)=\"", environment.code)) == set(variables)
