"""Servers that load the app once and fork their workers off it, again and again."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionsite.testing import in_parallel
from tests.harness.app_servers import GUNICORN, UWSGI, AppServer, start_app_server
from tests.harness.process import living
from tests.harness.production import create_table
from tests.harness.skipping import started

VISITORS = 8
VISITS = 100
CONFIG = """
import threading

def pre_fork(server, worker):
    server.log.info("The master's threads: %s", [each.name for each in threading.enumerate()])
"""
APP = "tests.functional.preloaded"
COMMANDS = {
    "gunicorn": (*GUNICORN, "--preload", "--workers=4", "--config=gunicorn.conf.py"),
    "gunicorn-threads": (
        *(*GUNICORN, "--preload", "--workers=4", "--config=gunicorn.conf.py"), "--threads=4",
    ),
    "uwsgi": (*UWSGI, "--processes=4", "--min-worker-lifetime=0"),
    "uwsgi-threads": (*UWSGI, "--processes=4", "--threads=4", "--min-worker-lifetime=0"),
}  # fmt: skip
UWSGIS = ("uwsgi", "uwsgi-threads")
ALL = pytest.mark.all
pytestmark = pytest.mark.servers


class Visitor:
    """Keeps its cookie; has a connection per request."""

    def __init__(self, server: AppServer) -> None:
        self._port = server.port
        self._cookie = ""

    def get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with closing(connection):
            connection.request("GET", path, headers={"Cookie": self._cookie})
            response = connection.getresponse()
            text = response.read()
        assert response.status == 200, text
        for cookie in response.headers.get_all("Set-Cookie", []):
            self._cookie = cookie.partition(";")[0]
        return json.loads(text)


@pytest.fixture
def serve(tmp_path: Path, postgres_url: str) -> Iterator[Callable[..., AppServer]]:
    create_table(postgres_url)
    servers = []
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(CONFIG)

    def serve(name: str, *args: str) -> AppServer:
        command = COMMANDS[name]
        is_gunicorn = command[: len(GUNICORN)] == GUNICORN
        server: AppServer = started(
            start_app_server,
            [*command, *args, f"{APP}:make_app()" if is_gunicorn else f"--module={APP}:make_app()"],
            env={"DATABASE_URL": postgres_url},
            directory=tmp_path,
        )
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.stop()


@pytest.mark.parametrize(
    "name", ["gunicorn", *(pytest.param(n, marks=ALL) for n in ("gunicorn-threads", *UWSGIS))]
)
def test_every_visitor_keeps_the_session_while_workers_come_and_go(
    serve: Callable[..., AppServer], name: str
) -> None:
    server = serve(name, "--max-requests=25")
    workers = set()

    def browse(_: int) -> None:
        visitor = Visitor(server)
        for number in range(1, VISITS + 1):
            seen = visitor.get("/count")
            assert seen["n"] == number
            workers.add(seen["pid"])

    in_parallel(VISITORS, browse)
    assert len(workers) > VISITORS * VISITS / (2 * 25)
    log = server.output()
    assert "ERROR" not in log
    assert "Session" not in log  # of the store, or of the pruner
    if name not in UWSGIS:
        assert log.count("The master's threads: ") >= len(workers)
        assert "session-pruner" not in log


@pytest.mark.parametrize("name", ["gunicorn", pytest.param("uwsgi-threads", marks=ALL)])
def test_each_worker_has_a_pruner_and_connections_of_its_own(
    serve: Callable[..., AppServer], postgres: Any, postgres_url: str, name: str
) -> None:
    server = serve(name)
    seen: dict[int, Any] = {}
    lock = threading.Lock()

    def look(_: int) -> None:
        visitor = Visitor(server)
        while len(seen) < 4:
            about = visitor.get("/about")
            with lock:
                seen[about["pid"]] = about

    in_parallel(4, look)
    assert [about["pruners"] for about in seen.values()] == [1] * 4
    theirs = [pid for about in seen.values() for pid in about["connections"]]
    assert len(theirs) == len(set(theirs)) >= 4
    (masters,) = {tuple(about["at the fork"]) for about in seen.values()}
    assert masters
    assert not {*masters} & {*theirs}
    assert {living()[pid] for pid in seen} == {server.pid}
    alive = "SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s)"
    with postgres.connect(postgres_url) as connection:
        assert len(connection.execute(alive, [[*masters]]).fetchall()) == len(masters)
        server.kill()  # so that nobody says good-bye; only the kernel closes the sockets
        while connection.execute(alive, [[*masters, *theirs]]).fetchall():
            time.sleep(0.01)
