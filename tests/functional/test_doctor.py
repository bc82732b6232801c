"""`sessionsite doctor`: every fault is named with its mend, and a site that is well has none."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sessionsite.cli import doctor as module
from sessionsite.cli import main
from sessionsite.sessions import utc_now
from sessionsite.sessions.sql import postgresql_faults
from tests.harness import free_port
from tests.harness.commands import PRODUCTION
from tests.harness.nginx import start_nginx
from tests.harness.old_table import make_old_table
from tests.harness.postgres import Postgres
from tests.harness.production import (
    HOSTS,
    SECRET,
    create_table,
    production_ini,
    start_worker,
)
from tests.harness.pserve import Pserve
from tests.harness.skipping import required
from tests.harness.stores import sql_store

pytestmark = pytest.mark.servers
Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the table; the environment is that of the processes."""
    create_table(postgres_url)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setenv("SITE_HOSTS", HOSTS)
    return postgres_url


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    def run(*options: str, config: str = PRODUCTION) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["doctor", config, *options])
        return status, capsys.readouterr().out

    return run


@pytest.fixture
def worker(database: str, tmp_path: Path) -> Iterator[Pserve]:
    with start_worker(tmp_path, DATABASE_URL=database) as worker:
        yield worker


@pytest.fixture
def behind_nginx(worker: Pserve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    yield from _behind_nginx(worker, tmp_path, monkeypatch)


def _behind_nginx(
    worker: Pserve, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    (directory / "nginx").mkdir()
    with required():
        nginx = start_nginx(directory / "nginx", [worker.port, worker.port])
    with nginx:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
        yield nginx.url


def faults(output: str) -> list[str]:
    return [line[7:] for line in output.splitlines() if line.startswith("FAULT")]


def rows(url: str) -> int:
    store = sql_store(url, create_table=False)
    count = store.counts(utc_now()).live
    store.close()
    return count


def run(url: str, *statements: str) -> None:
    store = sql_store(url, create_table=False)
    with store.engine.connect() as connection:  # in AUTOCOMMIT mode
        for statement in statements:
            connection.exec_driver_sql(statement)
    store.close()


def test_a_site_that_is_well_has_no_fault(doctor: Doctor, behind_nginx: str, database: str) -> None:
    status, output = doctor("--url", f"{behind_nginx}/")
    assert (status, faults(output)) == (0, [])
    assert "the cookie comes back, and opens the session" in output
    assert "the table is there, with its indexes, and can be read and written" in output
    assert rows(database) == 0  # it leaves nothing behind


class TestThroughTheProxy:
    def test_plain_http(self, doctor: Doctor, worker: Pserve) -> None:
        status, output = doctor("--url", worker.url)
        assert status == 1
        assert any("is Secure, and http://" in fault for fault in faults(output))
        assert "mend: serve the site over https" in output

    def test_a_proxy_that_is_not_trusted(
        self, doctor: Doctor, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = production_ini(tmp_path)
        text = config.read_text("utf-8")
        assert "trusted_proxy = 127.0.0.1" in text
        config.write_text(
            text.replace("trusted_proxy = 127.0.0.1", "trusted_proxy = 127.0.0.9"), "utf-8"
        )
        with start_worker(tmp_path, config, DATABASE_URL=database) as worker:
            for url in _behind_nginx(worker, tmp_path, monkeypatch):
                status, output = doctor("--url", url)
        assert status == 1
        assert "the app takes an https request for a plain http one" in faults(output)
        assert "mend: trusted_proxy in [server:main]" in output

    def test_a_host_that_the_app_does_not_know(
        self, doctor: Doctor, database: str, tmp_path: Path
    ) -> None:
        with start_worker(
            tmp_path, DATABASE_URL=database, SITE_HOSTS="sessions.example.org"
        ) as worker:
            status, output = doctor("--url", worker.url)
        assert status == 1
        assert any("400: the app does not know the host 127.0.0.1" in f for f in faults(output))
        assert "add 127.0.0.1 to SITE_HOSTS" in output

    def test_another_secret(
        self, doctor: Doctor, behind_nginx: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SESSION_SECRET", SECRET[::-1])
        status, output = doctor("--url", behind_nginx)
        assert status == 1
        assert any("signed with another secret" in fault for fault in faults(output))
        assert SECRET not in output
        assert SECRET[::-1] not in output

    def test_another_database(
        self, doctor: Doctor, behind_nginx: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = postgres.create_database("other")
        create_table(other)
        monkeypatch.setenv("DATABASE_URL", other)
        _, output = doctor("--url", behind_nginx)
        assert any("is not in the database of this .ini" in fault for fault in faults(output))

    def test_a_cookie_that_does_not_come_back(self, doctor: Doctor, worker: Pserve) -> None:
        with forgetful_proxy(worker) as url:
            _, output = doctor("--url", url)
        assert any("the cookie does not come back" in fault for fault in faults(output))

    def test_a_clock_apart(
        self, doctor: Doctor, behind_nginx: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_SECONDS_APART", -1)
        _, output = doctor("--url", behind_nginx)
        assert any("seconds apart from this host's" in fault for fault in faults(output))

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "nonsense", "ftp://x/", "http://"]
    )
    def test_no_answer(self, doctor: Doctor, database: str, url: str) -> None:
        status, output = doctor("--url", url)
        assert status == 1
        assert any("does not answer" in fault for fault in faults(output))

    def test_a_page_without_a_session(self, doctor: Doctor, behind_nginx: str) -> None:
        _, output = doctor("--url", f"{behind_nginx}/healthz")
        assert any("sets no cookie __Host-sessionsite" in fault for fault in faults(output))

    def test_a_page_that_is_not_there(self, doctor: Doctor, behind_nginx: str) -> None:
        _, output = doctor("--url", f"{behind_nginx}/nowhere")
        assert any("is answered 404" in fault for fault in faults(output))

    def test_it_follows_a_redirect_and_not_for_ever(
        self, doctor: Doctor, behind_nginx: str
    ) -> None:
        with redirecting(f"{behind_nginx}/") as url:
            status, output = doctor("--url", url)
        assert (status, faults(output)) == (0, [])
        with redirecting("/") as url:
            _, output = doctor("--url", url)
        assert any("it redirects without end" in fault for fault in faults(output))

    def test_a_cookie_that_is_not_secure(
        self, doctor: Doctor, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = production_ini(tmp_path, "session.secure = false", "session.cookie_name = plain")
        with start_worker(tmp_path, config, DATABASE_URL=database) as worker:
            for url in _behind_nginx(worker, tmp_path, monkeypatch):
                _, output = doctor("--url", url, config=str(config))
        assert "the cookie plain is not Secure" in faults(output)

    def test_a_database_that_is_away_is_said_once(
        self, doctor: Doctor, behind_nginx: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://u@127.0.0.1:{free_port()}/x")
        _, output = doctor("--url", behind_nginx)
        assert len(faults(output)) == 1
        assert "the database does not answer" in output

    def test_another_factory_than_ours_is_visited(
        self, doctor: Doctor, behind_nginx: str, tmp_path: Path
    ) -> None:
        config = tmp_path / "cookie.ini"
        config.write_text(
            "[app:main]\nuse = egg:sessionsite\nsession.secret = x\nsessionsite.session_factory ="
            " sessionsite.sessions.cookie.session_factory_from_settings\n"
        )
        status, output = doctor("--url", behind_nginx, config=str(config))
        assert (status, faults(output)) == (0, [])
        assert "is answered 200" in output


class TestTheDatabase:
    def test_no_table(self, doctor: Doctor, database: str) -> None:
        run(database, "DROP TABLE sessions", "DROP TABLE sessions_version")
        status, output = doctor()
        assert (status, faults(output)) == (1, ["there is no table sessions"])
        assert "mend: run `sessionsite init-db`" in output

    def test_an_older_table(self, doctor: Doctor, database: str) -> None:
        run(database, "DROP TABLE sessions", "DROP TABLE sessions_version")
        make_old_table(database)
        status, output = doctor()
        assert status == 1
        assert "mend: run `sessionsite upgrade-db`" in output

    def test_a_missing_index(self, doctor: Doctor, database: str) -> None:
        run(database, "DROP INDEX sessions_expires_at")
        status, output = doctor()
        assert (status, faults(output)) == (1, ["table sessions has no index on expires_at"])
        assert "mend: CREATE INDEX CONCURRENTLY sessions_expires_at ON sessions" in output

    def test_a_missing_right(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(database, "DROP ROLE IF EXISTS weak", "CREATE ROLE weak LOGIN PASSWORD 'weak'",
            "GRANT SELECT, INSERT ON sessions TO weak",
            "GRANT SELECT ON sessions_version TO weak")  # fmt: skip
        _, _, where = database.partition("@")
        monkeypatch.setenv("DATABASE_URL", f"postgresql://weak:weak@{where}")
        status, output = doctor()
        run(database, "DROP OWNED BY weak", "DROP ROLE weak")
        assert status == 1
        assert [f for f in faults(output) if f.startswith("the role has no right")] == [
            "the role has no right to UPDATE on sessions",
            "the role has no right to DELETE on sessions",
        ]
        assert "a session's update fails" in output

    def test_a_role_that_can_not_use_the_table_beside(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(database, "DROP ROLE IF EXISTS beside", "CREATE ROLE beside LOGIN PASSWORD 'beside'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO beside",
            "GRANT SELECT ON sessions_version TO beside")  # fmt: skip
        _, _, where = database.partition("@")
        monkeypatch.setenv("DATABASE_URL", f"postgresql://beside:beside@{where}")
        _, output = doctor()
        assert any("can't use sessions_status" in fault for fault in faults(output))
        run(database, "ALTER TABLE sessions_status RENAME TO sessions_gone",
            "ALTER TABLE sessions_version RENAME TO sessions_version_gone")  # fmt: skip
        _, output = doctor()
        run(database, "ALTER TABLE sessions_gone RENAME TO sessions_status",
            "ALTER TABLE sessions_version_gone RENAME TO sessions_version",
            "DROP OWNED BY beside", "DROP ROLE beside")  # fmt: skip
        assert not any("sessions_status" in fault for fault in faults(output))

    def test_hostile_defaults(self, doctor: Doctor, database: str) -> None:
        name = database.rpartition("/")[2]
        run(database, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'",
            f"ALTER DATABASE {name} SET lock_timeout = '1ms'")  # fmt: skip
        status, output = doctor()
        run(database, f"ALTER DATABASE {name} RESET ALL")
        assert status == 1
        assert len(faults(output)) == 2
        assert "default_transaction_isolation = serializable" in output

    def test_a_clock_apart(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = utc_now() - timedelta(hours=1)
        monkeypatch.setattr(postgresql_faults, "utc_now", lambda: late)
        _, output = doctor()
        assert any("the clock of the database is +3" in fault for fault in faults(output))

    def test_defaults_that_do_no_harm(self, doctor: Doctor, database: str) -> None:
        name = database.rpartition("/")[2]
        run(database, f"ALTER DATABASE {name} SET client_encoding = 'UTF8'",
            f"ALTER DATABASE {name} SET work_mem = '8MB'")  # fmt: skip
        status, output = doctor()
        run(database, f"ALTER DATABASE {name} RESET ALL")
        assert (status, faults(output)) == (0, [])

    def test_an_encoding_that_lacks_characters(
        self, doctor: Doctor, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with postgres.connect() as admin:
            admin.execute("CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
                          "TEMPLATE template0")  # fmt: skip
        url = f"{postgres.url.rpartition('/')[0]}/latin1"
        create_table(url)
        for name, value in {
            "DATABASE_URL": url,
            "SESSION_SECRET": SECRET,
            "SITE_HOSTS": HOSTS,
        }.items():
            monkeypatch.setenv(name, value)
        status, output = doctor()
        with postgres.connect() as admin:
            admin.execute("DROP DATABASE latin1")
        assert status == 1
        assert [fault.partition(":")[0] for fault in faults(output)] == [
            "the database's encoding is LATIN1"
        ]

    def test_a_standby(self, database: str) -> None:
        """A connection that says so: to have a real one would take a cluster."""
        store = sql_store(database)

        class Standby:
            def __init__(self, connection: Any) -> None:
                self.connection = connection
                self.dialect, self.execute = connection.dialect, connection.execute

            def scalar(self, query: Any, values: Any = None) -> Any:
                return "recovery" in str(query) or self.connection.scalar(query, values)

        with store.engine.connect() as connection:
            standby: Any = Standby(connection)
            (fault,) = postgresql_faults.postgresql_faults(standby, store.table)
        assert (fault.text, "target_session_attrs" in fault.mend) == (
            "the server is a standby, and can't be written", True,
        )  # fmt: skip
        store.close()

    def test_a_catalog_that_can_not_be_read(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgresql_faults, "_RIGHTS", ("NO RIGHT",))
        _, output = doctor()
        assert any("the database can't be looked into" in fault for fault in faults(output))

    def test_sqlite(
        self, doctor: Doctor, database: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create_table(sqlite_url)
        monkeypatch.setenv("DATABASE_URL", sqlite_url)
        status, output = doctor()
        assert (status, faults(output)) == (0, [])

    @pytest.mark.parametrize(
        ("store", "said", "status"),
        [("key_and_value", "ok     the store answers, in a store of the site's own", 0),
         ("away", "FAULT  the store does not answer: away", 1),
         ("remarkable", "FAULT  it is full", 1)],
    )  # fmt: skip
    def test_a_store_of_the_sites_own(
        self, doctor: Doctor, database: str, tmp_path: Path, store: str, said: str, status: int
    ) -> None:
        config = production_ini(tmp_path, f"session.store = tests.sessions.own_store.{store}")
        lines = config.read_text("utf-8").splitlines(True)
        config.write_text("".join(x for x in lines if not x.startswith("session.sqlalchemy")))
        got, output = doctor(config=str(config))
        assert got == status
        assert said in output

    def test_no_database(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:1/x")
        status, output = doctor()
        assert status == 1
        assert any("the database does not answer" in fault for fault in faults(output))
        assert "hunter2" not in output


class TestTheSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("SESSION_SECRET", "changemechangemechangemechangeme"), ("DATABASE_URL", "nonsense")],
    )
    def test_what_is_refused_at_start(
        self, doctor: Doctor, database: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)
        status, output = doctor()
        assert status == 1
        assert faults(output)[0].startswith("the settings: session.")
        assert value not in output

    def test_what_is_allowed_though_it_is_insecure(
        self, doctor: Doctor, database: str, tmp_path: Path
    ) -> None:
        config = production_ini(
            tmp_path, "session.allow_insecure = httponly", "session.httponly = false",
            "session.secure = false", "session.cookie_name = plain",
        )  # fmt: skip
        status, output = doctor(config=str(config))
        assert status == 1
        assert faults(output) == [
            "session.allow_insecure has httponly",
            "session.secure = false: the cookie also goes out over plain http",
        ]

    def test_the_cookie_factory_has_no_store_to_look_into(
        self, doctor: Doctor, tmp_path: Path
    ) -> None:
        config = tmp_path / "cookie.ini"
        config.write_text(
            "[app:main]\nuse = egg:sessionsite\nsession.secret = x\nsessionsite.session_factory ="
            " sessionsite.sessions.cookie.session_factory_from_settings\n"
        )
        assert doctor(config=str(config)) == (0, "ok     the settings can be read\n")


def test_a_cookie_over_plain_http_that_is_not_secure_is_no_fault_of_its_own(
    doctor: Doctor, database: str, tmp_path: Path
) -> None:
    """That session.secure is false is said; another package's cookie stands beside ours."""
    config = production_ini(tmp_path, "session.secure = false", "session.cookie_name = plain")
    with start_worker(tmp_path, config, DATABASE_URL=database) as worker:
        _, output = doctor("--url", worker.url, config=str(config))
    assert faults(output) == ["session.secure = false: the cookie also goes out over plain http"]


def test_of_several_cookies_the_one_with_the_name_counts() -> None:
    headers = http.client.HTTPMessage()
    for header in ("other=1; Path=/", "plain=2; Path=/; Secure", "more=3"):
        headers["Set-Cookie"] = header
    answer = module.Answer("http://localhost/", 200, headers, "")
    assert answer.cookie("plain") == ("2", ["path=/", "secure"])
    assert answer.cookie("absent") is None


class Quiet(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(handler: type[Quiet]) -> Iterator[str]:
    """The address of a server with this handler, which ends with the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def redirecting(location: str) -> AbstractContextManager[str]:
    """A server that sends everybody to another address."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return serving(Handler)


def forgetful_proxy(worker: Pserve) -> AbstractContextManager[str]:
    """Passes requests on to a process, and drops their cookies."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=30)
            connection.request("GET", self.path, headers={"Host": self.headers["Host"]})
            answer = connection.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("date", "server", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            connection.close()

    return serving(Handler)
