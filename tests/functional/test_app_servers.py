"""The site on each server that docs/servers.md has a command for: the walk, outages, the stop."""

import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sessionsite.testing import in_parallel
from tests.docs.blocks import take, take_one
from tests.harness import free_port, listening
from tests.harness.app_servers import GUNICORN, UWSGI, AppServer, start_app_server
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.production import HOSTS, SECRET, Answer, Browser, create_table, production_ini
from tests.harness.pserve import Pserve, start_pserve
from tests.harness.skipping import started

COMMANDS = {
    name: block.code
    for heading, names in {
        "waitress": ["waitress"],
        "granian": ["granian"],
        "gunicorn": ["gthread", "gthread-preload"],
        "gunicorn with gevent": ["gevent", "gevent-preload"],
        "uWSGI": ["uwsgi"],
    }.items()
    for name, block in zip(names, take("servers.md", heading, "sh"), strict=True)
}
PATCHED = take_one("servers.md", "gunicorn with gevent", "python")
TIMEOUT = 5  # seconds that a visit waits for its row
CROWDS = {"gevent": 40, "gevent-preload": 40}  # requests at once; the others have 8 threads
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
pytestmark = [pytest.mark.servers, pytest.mark.all]


def command(name: str, config: Path) -> tuple[str, list[str]]:
    """The program and the arguments of the page's command of that name, for another .ini file.

    Without where it listens: a test has ports of its own.
    """
    line = COMMANDS[name].replace("$PWD/", "").replace("production.ini", str(config))
    program, *args = shlex.split(re.sub(r"(--bind|--http-socket) \S+|http_port=\d+", "", line))
    return program, args


class Place:
    """Where a server runs: its database, and how it is started."""

    def __init__(self, name: str, directory: Path, url: str, *args: str) -> None:
        """`args` are further ones of the command."""
        self.name, self.directory, self.url, self.args = name, directory, url, args
        self.servers: list[AppServer | Pserve] = []
        create_table(url)
        if name == "gevent-preload":  # gunicorn reads it without being told
            (directory / "gunicorn.conf.py").write_text(PATCHED, "utf-8")

    def start(self, *lines: str) -> AppServer | Pserve:
        config = production_ini(self.directory, *lines)
        program, args = command(self.name, config)
        options: dict[str, Any] = {
            "env": {"SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS, "DATABASE_URL": self.url},
            "directory": self.directory,
        }
        server: AppServer | Pserve
        if program == "pserve":
            args = [arg for arg in args if arg != str(config)] + [f"http_port={free_port()}"]
            server = started(start_pserve, config, args=args, **options)
        else:
            begin = GUNICORN if program == "gunicorn" else UWSGI
            args = [*begin, *(arg for arg in args if arg not in begin), *self.args]
            server = started(start_app_server, args, **options)
        self.servers.append(server)
        return server


@pytest.fixture(params=COMMANDS)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, stoppable_postgres: Postgres
) -> Iterator[Place]:
    with stoppable_postgres.lend_database() as url:
        place = Place(request.param, tmp_path, url)
        yield place
        for server in place.servers:
            server.kill()


def test_the_walk(place: Place) -> None:
    server = place.start()
    browser = Browser(server.url)
    for path in ("/", "/about", "/contact"):
        assert browser.get(path).status == 200
    assert browser.get("/healthz").status == 200
    assert browser.get("/nowhere").status == 404
    visits = [f"/about?{number}" for number in range(10)]
    with ThreadPoolExecutor(5) as threads:
        assert {answer.status for answer in threads.map(browser.get, visits)} == {200}
    seen = browser.get("/").history
    assert {f"{server.url}{path}" for path in visits} < {*seen}
    assert len(seen) == 14

    def browse(number: int) -> list[str]:
        other = Browser(server.url)
        for visit in range(10):
            assert other.get(f"/about?{number}-{visit}").status == 200
        return other.get("/contact").history

    for number, history in enumerate(in_parallel(8, browse)):
        expected = [f"{server.url}/about?{number}-{visit}" for visit in reversed(range(10))]
        assert history == [f"{server.url}/contact", *expected]
    log = server.output()
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert "patched after" not in log


def test_a_stop_answers_what_has_begun(place: Place, stoppable_postgres: Postgres) -> None:
    server = place.start("session.sql.timeout = 30")
    browsers = [Browser(server.url) for _ in range(2)]
    for browser in browsers:
        assert browser.get("/").status == 200
    answers: list[Answer] = []
    with stoppable_postgres.connect(place.url) as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM sessions FOR UPDATE")
        visits = [
            threading.Thread(target=lambda b=browser: answers.append(b.get("/about")))
            for browser in browsers
        ]
        for each in visits:
            each.start()
        with stoppable_postgres.connect(place.url) as observer:
            assert until(lambda: observer.execute(WAITING).fetchone() == (2,))
        assert server.running
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(1)  # what is cut off is cut off by now
        assert server.running
        holder.execute("COMMIT")
    for each in visits:
        each.join(60)
    assert [answer.status for answer in answers] == [200, 200]
    assert server.wait() == 0
    assert not listening(server.port)
    server.start()
    for browser in browsers:
        assert browser.get("/").history == [f"{server.url}{path}" for path in ("/", "/about", "/")]


def test_one_visitors_locked_row_holds_up_nobody_else(
    place: Place, stoppable_postgres: Postgres
) -> None:
    server = place.start(f"session.sql.timeout = {TIMEOUT}")
    held, free = Browser(server.url), Browser(server.url)
    for browser in (held, free):
        assert browser.get("/").status == 200
    crowd = CROWDS.get(place.name, 20)

    def visit(number: int) -> tuple[int, float]:
        begun = time.monotonic()
        return held.get(f"/about?{number}").status, time.monotonic() - begun

    with stoppable_postgres.connect(place.url) as holder, ThreadPoolExecutor(crowd) as threads:
        holder.execute("BEGIN")
        held_id = holder.execute("SELECT id FROM sessions ORDER BY created_at LIMIT 1").fetchone()
        holder.execute("SELECT 1 FROM sessions WHERE id = %s FOR UPDATE", held_id)
        stuck = [threads.submit(visit, number) for number in range(crowd)]
        time.sleep(1)  # they all wait by now, or have been sent away
        for number in range(10):
            begun = time.monotonic()
            assert free.get(f"/contact?{number}").status == 200
            assert time.monotonic() - begun < TIMEOUT / 2
        answered = [each.result() for each in stuck]
        assert {status for status, _ in answered} == {503}
        assert max(seconds for _, seconds in answered) < 2 * TIMEOUT  # there may be a queue
        holder.execute("COMMIT")
    assert held.get("/").status == 200
    assert "Traceback" not in server.output()


def test_without_its_database_it_answers_in_time_and_comes_back(
    place: Place, stoppable_postgres: Postgres
) -> None:
    server = place.start("session.sql.timeout = 2")
    browsers = [Browser(server.url) for _ in range(8)]
    for browser in browsers:
        assert browser.get("/").status == 200

    def visit(number: int) -> tuple[int, float]:
        begun = time.monotonic()
        answer = browsers[number].get("/about")
        return answer.status, time.monotonic() - begun

    stoppable_postgres.pause()
    try:
        for _ in range(2):
            answered = in_parallel(len(browsers), visit)
            assert {status for status, _ in answered} == {503}
            assert max(seconds for _, seconds in answered) < 6
        begun = time.monotonic()
        assert Browser(server.url).get("/nowhere").status == 404  # needs no session
        assert time.monotonic() - begun < 1
    finally:
        stoppable_postgres.resume()
    assert until(lambda: browsers[0].get("/contact").status == 200)
    for browser in browsers:
        assert f"{server.url}/" in browser.get("/contact").history
    assert "Traceback" not in server.output()


def test_gevent_that_patches_a_loaded_app_is_told(
    tmp_path: Path, stoppable_postgres: Postgres
) -> None:
    with stoppable_postgres.lend_database() as url:
        place = Place("gevent", tmp_path, url, "--preload")
        server = place.start()
        Browser(server.url).get("/")
        assert "patched after the app was loaded" in server.output()
        server.stop()


@pytest.mark.parametrize("name", ["gthread", "gevent"])
def test_behind_a_proxy_the_scheme_is_the_visitors(
    name: str, tmp_path: Path, stoppable_postgres: Postgres
) -> None:
    with stoppable_postgres.lend_database() as url:
        server = Place(name, tmp_path, url).start()
        forwarded = {"Host": "elsewhere.example", "X-Forwarded-Proto": "https"}
        assert Browser(server.url).get("/", forwarded).history == ["https://elsewhere.example/"]
        assert "plain http" not in server.output()
        server.stop()
