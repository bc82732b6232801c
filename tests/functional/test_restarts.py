"""Two processes behind nginx are restarted in turn, under load: nobody notices."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.nginx import start_nginx
from tests.harness.probe import serve, write_probe
from tests.harness.production import Browser, create_table, production_ini, start_worker
from tests.harness.pserve import Pserve
from tests.harness.skipping import started
from tests.harness.tls_client import ask

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]

VISITORS = int(os.environ.get("RESTART_VISITORS", "4"))
RESTARTS = int(os.environ.get("RESTARTS", "6"))
MANY = (
    "sessionsite.history_limit = 100000",
    "sessionsite.history_bytes = none",
    "session.max_bytes = 10000000",
)


def restart_under_load(workers: Sequence[Pserve], visit: Callable[[int, int], None]) -> int:
    """Restart the workers in turn while `visit` is called; return how often it was.

    `visit` is given a visitor's number, and how many visits came before. Its errors are raised.
    """
    errors: list[BaseException] = []
    visits = [0] * VISITORS
    over = threading.Event()

    def browse(visitor: int) -> None:
        try:
            for number in itertools.count():
                if over.is_set():
                    return
                visit(visitor, number)
                visits[visitor] += 1
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=browse, args=(each,)) for each in range(VISITORS)]
    for thread in threads:
        thread.start()
    try:
        for number in range(RESTARTS):
            worker = workers[number % len(workers)]
            before = sum(visits)
            while sum(visits) < before + 10 * VISITORS and not errors:
                over.wait(0.01)
            os.kill(worker.pid, (signal.SIGTERM, signal.SIGINT)[number // 2 % 2])
            assert worker.wait() == 0
            worker.start()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert errors == []
    return sum(visits)


def test_no_visit_fails_and_none_is_recorded_twice(tmp_path: Path, postgres_url: str) -> None:
    create_table(postgres_url)
    config = production_ini(tmp_path, *MANY)
    (tmp_path / "nginx").mkdir()
    with ExitStack() as servers:
        workers = [
            servers.enter_context(start_worker(tmp_path, config, DATABASE_URL=postgres_url))
            for _ in range(2)
        ]
        ports = [worker.port for worker in workers]
        nginx = servers.enter_context(started(start_nginx, tmp_path / "nginx", ports))
        browsers = [Browser(nginx.url, nginx.certificate) for _ in range(VISITORS)]
        visited: list[list[str]] = [[] for _ in browsers]

        def visit(visitor: int, number: int) -> None:
            path = f"/about?{visitor}-{number}"
            assert browsers[visitor].get(path).status == 200
            visited[visitor].insert(0, f"{nginx.url}{path}")

        count = restart_under_load(workers, visit)
        assert count == sum(map(len, visited)) >= RESTARTS * 10 * VISITORS
        for browser, urls in zip(browsers, visited, strict=True):
            assert browser.get("/").history == [f"{nginx.url}/", *urls]
        for worker in workers:
            assert "Traceback" not in worker.output()
            assert "cut off" not in worker.output()


def test_no_post_fails(tmp_path: Path) -> None:
    """nginx sends no POST to another process once it has sent it to one."""
    config = write_probe(tmp_path)
    (tmp_path / "nginx").mkdir()
    with ExitStack() as servers:
        workers = [servers.enter_context(serve(config)) for _ in range(2)]
        ports = [worker.port for worker in workers]
        nginx = servers.enter_context(started(start_nginx, tmp_path / "nginx", ports))

        def post(visitor: int, number: int) -> None:
            assert ask(nginx, "POST", Content_Length="0")[0].status == 200

        count = restart_under_load(workers, post)
        assert count >= RESTARTS * 10 * VISITORS
