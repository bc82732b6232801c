"""SIGTERM and SIGINT: what has begun is answered and saved, and the process ends with status 0."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionsite.sessions import PRUNE_BATCH
from sessionsite.testing import in_parallel
from tests.harness import free_port, listening
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.production import (
    HOSTS,
    PRODUCTION,
    SECRET,
    Answer,
    Browser,
    create_table,
    production_ini,
    start_worker,
)
from tests.harness.pserve import Pserve, worker_args
from tests.harness.starting import WAYS, prefix, signal_to

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server", "no_nohup")]

VISITORS = 4  # one per thread of production.ini
# A terminal that closes sends SIGHUP; so does an operator who means a reload, which there is not.
STOPS = [
    *((number, way) for number in (signal.SIGTERM, signal.SIGINT) for way in WAYS),
    *(
        pytest.param(number, WAYS[0], marks=pytest.mark.all)
        for number in (signal.SIGHUP, signal.SIGQUIT)
    ),
]
STOPPING = "finishing the requests that have begun"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """Have servers begin with SIGHUP as a terminal's do, even if `nohup` has started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def serve(tmp_path: Path, postgres_url: str) -> Iterator[Callable[..., Pserve]]:
    """Start production.ini, or a copy with other lines, in one of the `WAYS`."""
    create_table(postgres_url)
    servers = []

    def serve(*lines: str, way: str = WAYS[0]) -> Pserve:
        config = production_ini(tmp_path, *lines) if lines else PRODUCTION
        server = start_worker(tmp_path, config, DATABASE_URL=postgres_url)
        servers.append(server)
        if prefix(way):
            server.stop()
            server.command = [*prefix(way), *server.command]
            server.start()
        return server

    yield serve
    for server in servers:
        server.kill()


@contextmanager
def locked_rows(postgres: Postgres, url: str) -> Iterator[Callable[[int], bool]]:
    """Have every save wait, until the block ends; gives what tells that so many wait."""
    with postgres.connect(url) as connection, postgres.connect(url) as observer:
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM sessions FOR UPDATE")

        def waiting(count: int) -> bool:
            return until(lambda: observer.execute(WAITING).fetchone() == (count,))

        yield waiting
        connection.execute("COMMIT")


@contextmanager
def in_flight(browsers: list[Browser], postgres: Postgres, url: str) -> Iterator[list[Answer]]:
    """A visit by each browser, whose save waits until the block ends; gives the answers, then."""
    answers: list[Answer] = []

    def visit(number: int) -> None:
        answers.append(browsers[number].get(f"/about?{number}"))

    with locked_rows(postgres, url) as waiting:
        visits = threading.Thread(target=lambda: in_parallel(len(browsers), visit))
        visits.start()
        assert waiting(len(browsers))
        yield answers
    visits.join(60)


def visitors(server: Pserve, count: int = VISITORS) -> list[Browser]:
    """So many, each with a session."""
    browsers = [Browser(server.url) for _ in range(count)]
    for browser in browsers:
        assert browser.get("/").status == 200
    return browsers


def failing_visit(browser: Browser) -> tuple[threading.Thread, list[Exception]]:
    """A visit under way, and where its error will be."""
    failed: list[Exception] = []

    def visit() -> None:
        try:
            browser.get("/about")
        except OSError as exc:
            failed.append(exc)

    thread = threading.Thread(target=visit)
    thread.start()
    return thread, failed


@pytest.mark.parametrize(("number", "way"), STOPS)
def test_visits_in_flight_are_answered_and_saved(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str, way: str, number: int
) -> None:
    # all of them may wait, for so long as a busy machine takes to close the socket
    server = serve(f"session.max_waiting = {VISITORS}", "session.sql.timeout = 30", way=way)
    browsers = visitors(server)
    with in_flight(browsers, postgres, postgres_url) as answers:
        signal_to(server, number)
        assert until(lambda: STOPPING in server.output())
        assert until(lambda: not listening(server.port))
        assert server.running
    assert server.wait() == 0
    assert [answer.status for answer in answers] == [200] * VISITORS
    assert "Traceback" not in server.output()

    server.start()
    for visitor, browser in enumerate(browsers):
        page = browser.get("/contact")
        assert page.history == [
            f"{server.url}{path}" for path in ("/contact", f"/about?{visitor}", "/")
        ]


def test_a_visit_whose_client_has_left_is_saved(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str
) -> None:
    server = serve()
    (browser,) = visitors(server, 1)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with locked_rows(postgres, postgres_url) as waiting:
        request = f"GET /about HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(request.encode())
            assert waiting(1)
        signal_to(server, signal.SIGTERM)
        assert until(lambda: STOPPING in server.output())
    assert server.wait() == 0
    with postgres.connect(postgres_url) as database:
        (history,) = database.execute("SELECT payload->'history' FROM sessions").fetchall()[0]
    assert [url.rpartition("/")[2] for url in history] == ["about", ""]


def test_what_takes_longer_than_stop_timeout_is_cut_off(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    server = serve("session.timeout = 1200")
    server.stop()
    config = tmp_path / "copy.ini"
    text = config.read_text("utf-8")
    config.write_text(text.replace("stop_timeout = 10", "stop_timeout = 1"), "utf-8")
    server.start()
    (browser,) = visitors(server, 1)
    with locked_rows(postgres, postgres_url) as waiting:
        thread, failed = failing_visit(browser)
        assert waiting(1)
        start = time.monotonic()
        signal_to(server, signal.SIGTERM)
        assert server.wait() == 0
        assert 1 <= time.monotonic() - start < 4
    thread.join(60)
    assert len(failed) == 1
    assert "1 connections cut off: stop_timeout = 1 is over" in server.output()
    assert "Traceback" not in server.output()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_second_signal_ends_it_at_once(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str, number: int, status: int
) -> None:
    server = serve()
    (browser,) = visitors(server, 1)
    with locked_rows(postgres, postgres_url) as waiting:
        thread, failed = failing_visit(browser)
        assert waiting(1)
        signal_to(server, signal.SIGTERM)
        assert until(lambda: STOPPING in server.output())
        signal_to(server, number)
        assert server.wait() == status
    thread.join(60)
    assert len(failed) == 1
    assert "Traceback" not in server.output()


def test_the_pruner_ends_between_two_batches(
    serve: Callable[..., Pserve], postgres: Postgres, postgres_url: str
) -> None:
    server = serve("session.prune_interval = 1")
    visitors(server, 1)
    count = "SELECT count(*) FROM sessions"
    with postgres.connect(postgres_url) as database:

        def rows() -> int:
            found: Any = database.execute(count).fetchone()
            return int(found[0])

        database.execute(
            "INSERT INTO sessions (id, token_hash, payload, version, created_at, seen_at,"
            " expires_at) SELECT n::text, '', '{}', 1, 'epoch', 'epoch', 'epoch'"
            " FROM generate_series(1, 400000) AS n"
        )
        before = rows()
        assert until(lambda: rows() < before - PRUNE_BATCH)
        signal_to(server, signal.SIGTERM)
        assert server.wait() == 0
        left = rows()
    assert left > 1
    assert (before - left) % PRUNE_BATCH == 0
    # It has heard of each batch that the database has done.
    assert f"Session pruner: {before - left} expired sessions removed" in server.output()
    assert "Traceback" not in server.output()


def test_an_idle_process_ends_at_once(serve: Callable[..., Pserve]) -> None:
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        signal_to(server, signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - start < 5  # of them, half a second is the connection's
        while connection.recv(65536):
            pass


class OnItsWayUp(Pserve):
    def ready(self) -> bool:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_that_is_not_up_yet(tmp_path: Path, number: int) -> None:
    """It waits for a database that does not answer, to check its table."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"postgresql://site@127.0.0.1:{silent.getsockname()[1]}/site"
        env = {"DATABASE_URL": url, "SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS}
        with OnItsWayUp(PRODUCTION, worker_args(free_port()), env, tmp_path).start() as server:
            connection, _ = silent.accept()
            with connection:
                signal_to(server, number)
                assert server.wait() == 0
            assert "Traceback" not in server.output()
