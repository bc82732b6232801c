"""Several processes of one command: `workers` of `[server:granian]`."""

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from sessionsite.servers.prefork import SOON
from sessionsite.testing import in_parallel
from tests.harness import free_port, listening
from tests.harness.observing import gone, until
from tests.harness.postgres import Postgres
from tests.harness.process import family
from tests.harness.production import Browser, create_table, production_ini, start_worker
from tests.harness.pserve import Pserve, Section

pytestmark = pytest.mark.servers

WORKERS = 2


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Pserve]]:
    """Start production.ini on granian, with two workers, and other lines in [app:main]."""
    servers = []

    def serve(url: str, *lines: str, stop_timeout: int = 10) -> Pserve:
        create_table(url)
        config = production_ini(tmp_path, "session.timeout = 1200", *lines)
        text = config.read_text("utf-8").replace("workers = 1", f"workers = {WORKERS}")
        text = text.replace("stop_timeout = 10", f"stop_timeout = {stop_timeout}")
        config.write_text(text, "utf-8")
        server = start_worker(tmp_path, config, section=Section.GRANIAN, DATABASE_URL=url)
        servers.append(server)
        assert until(lambda: len(workers(server)) == WORKERS)
        return server

    yield serve
    for server in servers:
        server.kill()


def workers(server: Pserve) -> list[int]:
    return family(server.pid)[1:]


def both_have_served(server: Pserve) -> bool:
    """Whether both have connections of their own: each serves a visitor while the other does."""
    in_parallel(8, lambda number: Browser(server.url).get(f"/?{number}"))
    return all(_connections(pid) for pid in workers(server))


def _connections(pid: int) -> set[str]:
    """The sockets of a process, but for the one that all of them accept from."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(os.readlink(descriptor))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_each_visitor_keeps_the_session_whoever_serves(
    serve: Callable[..., Pserve], database: str, request: pytest.FixtureRequest
) -> None:
    server = serve(request.getfixturevalue(f"{database}_url"))
    browsers = [Browser(server.url) for _ in range(8)]

    def browse(number: int) -> None:
        for visit in range(10):
            assert browsers[number].get(f"/about?{visit}").status == 200

    in_parallel(len(browsers), browse)
    for browser in browsers:
        history = browser.get("/").history
        assert history[1:] == [f"{server.url}/about?{visit}" for visit in reversed(range(10))]
    log = server.output()
    assert log.count("Serving on http://127.0.0.1:") == 1
    assert "Traceback" not in log
    assert "ERROR" not in log


def test_no_connection_of_the_store_is_shared(
    serve: Callable[..., Pserve], postgres_url: str
) -> None:
    server = serve(postgres_url)
    assert until(lambda: both_have_served(server))
    parent, *children = family(server.pid)
    shared = _connections(parent)
    assert len(shared) <= 1  # the one that is listened on
    one, another = (_connections(pid) - shared for pid in children)
    assert one
    assert another
    assert not one & another


def test_each_answers_for_its_own_metrics(serve: Callable[..., Pserve], sqlite_url: str) -> None:
    port = free_port()
    server = serve(
        sqlite_url,
        "pyramid.includes = sessionsite.metrics",
        f"sessionsite.metrics.listen = 127.0.0.1:{port}-{port + 20}",
    )

    def answering() -> int:
        in_parallel(8, lambda _: Browser(server.url).get("/"))
        count = 0
        for each in range(port, port + 21):
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{each}/metrics") as page,
            ):
                count += b"sessionsite_" in page.read()
        return count

    assert until(lambda: answering() == WORKERS)


def test_one_that_dies_is_replaced_and_not_at_once_again(
    serve: Callable[..., Pserve], sqlite_url: str
) -> None:
    server = serve(sqlite_url)
    browser = Browser(server.url)
    browser.get("/about")
    before = set(workers(server))
    began = time.monotonic()
    assert until(lambda: time.monotonic() - began > SOON)  # the first one has lived
    for _ in range(2):  # the second one dies as soon as it lives
        victim = workers(server)[-1]
        os.kill(victim, signal.SIGKILL)
        assert gone(victim)
        assert until(lambda: len(workers(server)) == WORKERS)
        assert browser.get("/").status == 200
    assert len(before & set(workers(server))) == 1
    line = f"has ended with status {-signal.SIGKILL}: starting another"
    assert server.output().count(line) == 2
    server.stop()
    assert gone(*before)


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [
        pytest.param(signal.SIGTERM, False, id="SIGTERM to the parent"),
        pytest.param(signal.SIGINT, True, id="SIGINT from a terminal"),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to all", marks=pytest.mark.all),
        pytest.param(signal.SIGINT, False, id="SIGINT to the parent", marks=pytest.mark.all),
    ],
)
def test_a_signal_stops_all_and_what_has_begun_is_saved(
    serve: Callable[..., Pserve],
    postgres: Postgres,
    postgres_url: str,
    number: int,
    whole_group: bool,
) -> None:
    server = serve(postgres_url, "session.max_waiting = 4", "session.sql.timeout = 30")
    browser = Browser(server.url)
    browser.get("/")
    members = family(server.pid)
    with postgres.connect(postgres_url) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sessions FOR UPDATE")

        def visit(which: int) -> int:
            if which:
                return browser.get("/about").status
            assert until(lambda: _waiting(postgres, postgres_url) == 1)
            if whole_group:
                os.killpg(server.pid, number)
            else:
                os.kill(server.pid, number)
            assert until(lambda: not listening(server.port))
            connection.execute("COMMIT")
            return 0

        assert in_parallel(2, visit) == [0, 200]
    assert server.wait() == 0
    assert gone(*members)
    assert "Traceback" not in server.output()
    server.start()
    assert browser.get("/").history == [f"{server.url}{path}" for path in ("/", "/about", "/")]


def _waiting(postgres: Postgres, url: str) -> int:
    with postgres.connect(url) as observer:
        (count,) = observer.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchall()[0]
    return int(count)


def hold(server: Pserve, connection: psycopg.Connection) -> tuple[socket.socket, list[int]]:
    """A visit under way, which waits for as long as the lock is held; and all processes."""
    browser = Browser(server.url)
    browser.get("/")
    connection.execute("BEGIN")
    connection.execute("SELECT 1 FROM sessions FOR UPDATE")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    client.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    return client, family(server.pid)


def test_a_second_signal_ends_all_at_once(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str
) -> None:
    server = serve(postgres_url)
    with postgres.connect(postgres_url) as connection:
        client, members = hold(server, connection)
        with closing(client):
            assert until(lambda: _waiting(postgres, postgres_url) == 1)
            os.kill(server.pid, signal.SIGTERM)
            assert until(lambda: "finishing" in server.output())
            os.kill(server.pid, signal.SIGTERM)
            assert server.wait() == 128 + signal.SIGTERM
            assert gone(*members)


def test_they_end_with_their_parent(serve: Callable[..., Pserve], sqlite_url: str) -> None:
    server = serve(sqlite_url)
    members = family(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    assert gone(*members)
    assert server.output().count("SIGTERM: finishing the requests that have begun") == WORKERS


def test_one_that_does_not_stop_is_killed(serve: Callable[..., Pserve], sqlite_url: str) -> None:
    server = serve(sqlite_url, stop_timeout=0)
    members = family(server.pid)
    os.kill(members[-1], signal.SIGSTOP)
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait() == 0
    assert gone(*members)
    assert f"Worker process {members[-1]} does not stop: killed" in server.output()
