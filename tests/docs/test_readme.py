"""The README's examples: the sessions', in an app, and production, as far as nginx."""

import re
import shutil
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from webtest import TestApp

from sessionsite.sessions import MemoryStore, ServerSessionFactory, server_settings
from tests import ROOT
from tests.docs.blocks import take
from tests.docs.shell import SCRIPTS, App, Shell
from tests.harness import Missing, free_port
from tests.harness.postgres import Postgres
from tests.harness.skipping import required
from tests.harness.visitor import Visitor

SECRET = "a-secret-for-tests-that-is-long-enough"


EXAMPLE, LOGINS, TESTING = (block.code for block in take("README.md", "Use a session"))
DATABASE, VARIABLES, SERVERS, CERTIFICATE = (
    block.code for block in take("README.md", "Run it in production")
)


def factory() -> ServerSessionFactory:
    return ServerSessionFactory(MemoryStore(), server_settings({"session.secret": SECRET}))


def test_no_parallel_request_is_lost() -> None:
    visitor = Visitor(factory())
    with visitor.request() as session:
        session["a"] = 1
    requests = [visitor.open() for _ in range(4)]  # each has loaded the session
    code, _, _ = EXAMPLE.partition("request.session.regenerate")
    for request in requests:
        exec(code, {"request": SimpleNamespace(session=request.session)})
    for request in requests:
        visitor.close(request)
    session = visitor.open().session
    assert session["cart"] == {"tea": 4}
    assert session["seen"] == ["tea"] * 4
    assert session.pop_flash() == ["Added."] * 4


def app() -> TestApp:
    """An app whose pages are the README's code."""

    def example(request: Request) -> dict[str, Any]:
        exec(EXAMPLE, {"request": request})
        return dict(request.session)

    def logins(request: Request) -> list[Any]:
        request.session["before"] = True
        names: dict[str, Any] = {"request": request}
        exec(LOGINS.partition("logout(request)")[0], names)
        owner = request.session.owner
        exec("logout(request)", names)
        return [owner, request.session.owner]

    with Configurator(session_factory=factory()) as config:
        config.include("sessionsite.sessions")
        for view in (example, logins):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__, renderer="json")
        config.add_route("account", "/account")
        config.add_view(lambda r: dict(r.session), route_name="account", renderer="json")
    return TestApp(config.make_wsgi_app())


def test_the_session_ends_where_the_example_ends_it() -> None:
    visitor = app()
    assert visitor.get("/example").json == {}
    assert visitor.get("/account").json == {}


def test_a_user_logs_in_and_out() -> None:
    visitor = app()
    assert LOGINS.rstrip().endswith("logout(request)")
    assert visitor.get("/logins").json == ["user:42", None]


def test_the_session_of_a_test_is_the_visitors() -> None:
    testapp = app()
    exec(TESTING, {"testapp": testapp})
    assert testapp.get("/account").json == {"user": "ann"}


@pytest.mark.all
@pytest.mark.servers
def test_production_runs_as_the_readme_says(postgres: Postgres, tmp_path: Path) -> None:
    """With this machine's PostgreSQL for `sudo -u postgres psql`, and other ports."""
    with required():
        if shutil.which("psql") is None:
            raise Missing("psql", "apt install postgresql-client")
    ports = free_port(), free_port()
    ini = (ROOT / "production.ini").read_text("utf-8")
    (tmp_path / "production.ini").write_text(ini.replace(":6543", f":{ports[0]}"), "utf-8")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(SCRIPTS)
    shell = Shell(tmp_path)
    superuser = f"psql {postgres.url.replace('+psycopg', '')}"
    try:
        made = DATABASE.replace("sudo -u postgres psql", f"{superuser} -v ON_ERROR_STOP=1")
        shell.run(f"{made}export PASSWORD")
        where = VARIABLES.replace("@localhost/", f"@{postgres.host}:{postgres.port}/")
        assert "Table sessions: created" in shell.run(where)
        lines = SERVERS.replace(".venv/bin/", "").replace(" &", "").replace("6544", str(ports[1]))
        first, second = lines.splitlines()
        for command, port in zip((first, second), ports, strict=True):
            with App(command, shell, port).start() as site:
                assert "Sessions - Home" in site.get("/")
        query = "select payload from sessions"
        assert "http://localhost" in shell.run(f'psql -At "$DATABASE_URL" -c "{query}"')
    finally:
        with postgres.connect() as connection:
            connection.execute("DROP DATABASE IF EXISTS sessionsite WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS sessionsite")


def test_the_certificate_to_try_with_is_localhosts(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        with required():
            raise Missing("openssl", "apt install openssl")
    text = (ROOT / "README.md").read_text("utf-8")
    command = re.sub(r"/etc/ssl/\w+/", f"{tmp_path}/", CERTIFICATE.removeprefix("sudo "))
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    made = tmp_path / "sessionsite.crt", tmp_path / "sessionsite.key"
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*made)
    check = ["openssl", "x509", "-in", str(made[0]), "-noout", "-checkhost", "localhost"]
    done = subprocess.run(check, capture_output=True, text=True, check=True)
    assert "does match certificate" in done.stdout
    asked = re.findall(r"curl --cacert /etc/ssl/certs/(\S+) https://localhost/", text)
    assert asked == ["sessionsite.crt"]


def test_a_checkout_without_make_gets_what_the_tests_import() -> None:
    """As `make matrix` installs it: without one of the extras, pytest ends while it collects."""
    text = (ROOT / "README.md").read_text("utf-8")
    (extras,) = re.findall(r'(?m)^EXTRAS = "(.*)"$', (ROOT / "noxfile.py").read_text("utf-8"))
    assert re.findall(r"pip install -c constraints\.txt -e '(.*)'", text) == [extras, extras]
