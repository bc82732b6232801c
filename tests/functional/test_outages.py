"""production.ini when something is missing: its table, its database, its configuration."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pyramid.scripts import pserve

from sessionsite.cli import main
from sessionsite.sessions.checks import DEVELOPMENT_SECRET
from sessionsite.testing import in_parallel
from tests.functional.outages.asserting import assert_the_rest_answers, assert_unavailable
from tests.harness import free_port
from tests.harness.postgres import Postgres
from tests.harness.production import (
    PRODUCTION,
    SECRET,
    Browser,
    create_table,
    production_ini,
    start_worker,
)
from tests.harness.pserve import COVERAGE, Section, worker_args

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]

TIMEOUT = 1  # seconds, in the tests of a database that does not answer
CONNECT_TIMEOUT = 2  # libpq waits for no less
SLACK = 3  # for a machine that does other things too


@pytest.fixture
def database(stoppable_postgres: Postgres) -> Postgres:
    return stoppable_postgres


@pytest.fixture
def url(database: Postgres) -> str:
    """A database with the table in it, on a server that runs."""
    if database.running:
        database.resume()
    database.start()
    url = database.create_database("outage")
    create_table(url)
    return url


def test_a_missing_table_is_one_line_that_says_what_to_do(
    database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.start()
    url = database.create_database("empty")
    with start_worker(tmp_path, DATABASE_URL=url) as worker:
        browser = Browser(worker.url)
        before = worker.output()
        assert_unavailable(browser.get("/"))
        (line,) = worker.output().removeprefix(before).splitlines()
        assert "ERROR" in line
        assert "there is no table sessions: run `sessionsite init-db`" in line
        assert browser.get("/healthz").status == 503

        monkeypatch.setenv("DATABASE_URL", url)
        assert main(["init-db", str(PRODUCTION)]) == 0
        assert browser.get("/healthz").status == 200
        assert browser.get("/").history == [f"{worker.url}/"]


def test_an_outage_is_two_lines_however_many_requests_fail(
    database: Postgres, url: str, tmp_path: Path
) -> None:
    with start_worker(tmp_path, DATABASE_URL=url) as worker:
        browser = Browser(worker.url)
        assert browser.get("/").status == 200
        before = worker.output()
        database.stop()
        for _ in range(20):
            assert_unavailable(browser.get("/"))
        database.start()
        assert browser.get("/").status == 200
        first, last = worker.output().removeprefix(before).splitlines()
        assert re.search(r"ERROR .*Session store: away: ", first)
        assert "refused" in first
        assert re.search(
            r"WARNI .*Session store: back after \d+ seconds, in which 20 requests have failed", last
        )


def test_a_process_starts_without_its_database_and_serves_once_it_is_there(
    database: Postgres, url: str, tmp_path: Path
) -> None:
    worker = start_worker(tmp_path, DATABASE_URL=url)
    browser = Browser(worker.url)
    browser.get("/about")
    (cookie,) = browser.cookies.items()
    worker.stop()
    database.stop()

    with worker.start():
        assert_unavailable(browser.get("/"))
        assert_unavailable(Browser(worker.url).get("/"))
        assert browser.get("/healthz").status == 503
        assert_the_rest_answers(browser)
        assert browser.cookies == dict([cookie])
        assert "Traceback" not in worker.output()
        assert database.password not in worker.output()

        database.start()
        assert browser.get("/").history == [f"{worker.url}/", f"{worker.url}/about"]
        assert browser.get("/healthz").status == 200


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_nobody_sees_a_restart_of_the_database(
    database: Postgres, url: str, tmp_path: Path, end: Callable[[Postgres], None]
) -> None:
    with start_worker(tmp_path, DATABASE_URL=url) as worker:
        # Four at once, so that the pool holds several connections that have died.
        browsers = [Browser(worker.url) for _ in range(4)]
        for _ in range(3):
            in_parallel(4, lambda number: browsers[number].get(f"/?{number}"))
            end(database)
            database.start()
        answers = in_parallel(4, lambda number: browsers[number].get(f"/?{number}"))
        for number, answer in enumerate(answers):
            assert answer.status == 200
            assert answer.history == [f"{worker.url}/?{number}"] * 4


def test_a_database_that_does_not_answer_is_given_up_in_time(
    database: Postgres, url: str, tmp_path: Path
) -> None:
    config = production_ini(tmp_path, f"session.sql.timeout = {TIMEOUT}")
    with start_worker(tmp_path, config, DATABASE_URL=url) as worker:
        browser = Browser(worker.url)
        for path in ("/", "/about"):
            browser.get(path)
        database.pause()
        for longest in (TIMEOUT, CONNECT_TIMEOUT):  # on a connection that stands, on a new one
            start = time.monotonic()
            assert_unavailable(browser.get("/contact"))
            assert time.monotonic() - start < longest + SLACK
            assert_the_rest_answers(browser)
        assert browser.get("/healthz").status == 503

        database.resume()
        page = browser.get("/contact")
        assert page.status == 200
        assert page.history == [f"{worker.url}{path}" for path in ("/contact", "/about", "/")]


def test_the_wait_is_bounded_while_more_visitors_wait_than_there_are_threads(
    database: Postgres, url: str, tmp_path: Path
) -> None:
    config = production_ini(tmp_path, f"session.sql.timeout = {TIMEOUT}")
    with start_worker(tmp_path, config, DATABASE_URL=url) as worker:
        database.pause()
        start = time.monotonic()
        # twice as many as threads, and one visitor without a session, behind them in the queue
        answers = in_parallel(
            9, lambda number: Browser(worker.url).get("/static/site.css" if number == 8 else "/")
        )
        assert time.monotonic() - start < 2 * CONNECT_TIMEOUT + SLACK
        for answer in answers[:8]:
            assert_unavailable(answer)
        assert answers[8].status == 200
        database.resume()
        assert Browser(worker.url).get("/").status == 200


def test_cs_log_no_secret_reaches_the_log_or_the_process_list(
    database: Postgres, url: str, tmp_path: Path
) -> None:
    config = production_ini(tmp_path)
    text = re.sub("(?m)^level = .*", "level = DEBUG", config.read_text("utf-8"))
    text = text.replace("[loggers]\nkeys = root", "[loggers]\nkeys = sqlalchemy, root")
    text += "\n[logger_sqlalchemy]\nlevel = DEBUG\nhandlers =\nqualname = sqlalchemy\n"
    config.write_text(text, "utf-8")
    with start_worker(tmp_path, config, DATABASE_URL=url) as worker:
        browser = Browser(worker.url)
        for path in ("/", "/about", "/missing", "/healthz"):
            browser.get(path)
        (name, issued), *_ = browser.cookies.items()
        Browser(worker.url).get("/", {"Cookie": f"{name}=forged-{issued}"})
        with database.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [url.rpartition("/")[2]],
            )
        assert browser.get("/").status == 200
        log = worker.output()
        ps = ["ps", "-ww", "-o", "args=", "-p", str(worker.pid)]
        listed = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    assert "DEBUG [sqlalchemy.pool" in log
    assert "A cookie that this site did not issue was ignored" in log
    assert f"http_port={worker.port}" in listed
    for hidden in (SECRET, issued, issued[:20], database.password):
        assert hidden not in log
        assert hidden not in listed


LONG = "x" * 40
HIDDEN = "hunter2"


@pytest.mark.parametrize(
    ("env", "line", "key"),
    [
        ({"SESSION_SECRET": ""}, "", "session.secret"),
        ({"SESSION_SECRET": f"{HIDDEN}-is-too-short"}, "", "session.secret"),
        ({"SESSION_SECRET": f"{LONG} {HIDDEN}"}, "", "session.secret"),
        ({"SESSION_SECRET": DEVELOPMENT_SECRET}, "", "session.secret"),
        ({"DATABASE_URL": f"mysql://site:{HIDDEN}@localhost/site"}, "", "session.sqlalchemy.url"),
        ({"DATABASE_URL": f"postgresql://s:{HIDDEN}@h:port/s"}, "", "session.sqlalchemy.url"),
        ({"SITE_HOSTS": ""}, "", "SITE_HOSTS"),
        ({"SITE_HOSTS": "https://example.org"}, "", "sessionsite.allowed_hosts"),
        ({}, "pyramid.includes = pyramid_debugtoolbar", "sessionsite.error_page"),
        ({}, "session.tiemout = 60", "session.timeout"),
        ({}, "session.timeout = soon", "session.timeout"),
        ({}, "session.max_age = 60", "session.max_age"),
        ({}, f"session.sql.schema = %40{HIDDEN}", "[app:main] session.sql.schema: a % must be"),
        ({}, "session.sqlalchemy.pool_size = many", "session.sqlalchemy.pool_size"),
        ({}, "sessionsite.history_limit = 0", "sessionsite.history_limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_configuration_stops_the_process_and_one_line_says_why(
    env: dict[str, str], line: str, key: str, tmp_path: Path
) -> None:
    config = production_ini(tmp_path, line) if line else PRODUCTION
    secret = env.get("SESSION_SECRET", SECRET)
    said = refusal(config, env)
    assert key in said
    assert HIDDEN not in said
    assert not secret or secret not in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("treads = 4", "treads: is not a setting: did you mean threads?"),
        ("threads = many", "threads = 'many': "),
        ("stop_timeout = soon", "stop_timeout = 'soon': give a whole number of seconds"),
        ("trusted_proxy_headers = x", "Received unknown trusted_proxy_headers value (x)"),
        ("host = 127.0.0.1", "host"),
        ("ident = ${SITE_IDENT}", "set SITE_IDENT"),
    ],
)
def test_so_does_a_wrong_key_of_the_server(line: str, said: str, tmp_path: Path) -> None:
    head = "use = egg:sessionsite#" + {Section.WAITRESS: "waitress"}.get(Section.name, "granian")
    head += "\n"
    text = PRODUCTION.read_text("utf-8")
    text = re.sub(rf"(?m)^{line.partition(' =')[0]} = .*\n", "", text)
    assert head in text
    config = tmp_path / "copy.ini"
    config.write_text(text.replace(head, f"{head}{line}\n"), "utf-8")
    assert said in refusal(config, {})


def test_so_does_a_port_that_is_taken(sqlite_url: str) -> None:
    create_table(sqlite_url)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refusal(PRODUCTION, {"DATABASE_URL": sqlite_url}, port)
    assert said.endswith(f": the server can't listen at 127.0.0.1:{port}: Address already in use")


def refusal(config: Path, env: Mapping[str, str], port: int | None = None) -> str:
    """The one line on stderr with which pserve refuses to start."""
    name, port_at = worker_args(port or free_port())
    command = [sys.executable, "-m", pserve.__name__, name]
    done = subprocess.run(
        [*command, str(config), port_at],
        env={"SESSION_SECRET": SECRET, "SITE_HOSTS": "127.0.0.1", **COVERAGE, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    # beside pserve's greeting, and what the log has to say of the database
    others = r"(?m)^(Starting server in PID \d+\.|\d{4}-.* (WARNI|ERROR) .*)\n"
    (line,) = re.sub(others, "", done.stderr).splitlines()
    assert line.startswith("ConfigurationError: ")
    return line
