"""Servers of any kind end with the tests, however the tests end."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness import Missing, postgres
from tests.harness.nginx import start_nginx
from tests.harness.observing import gone
from tests.harness.postgres import start_postgres
from tests.harness.process import Server, ServerError, living
from tests.harness.redis import find_server, start_redis
from tests.harness.skipping import started


class Broken(Server):
    def ready(self) -> bool:
        return False


@pytest.mark.servers
def test_a_server_that_ends_at_once_is_an_error_with_its_output(tmp_path: Path) -> None:
    server = Broken([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log")

    with pytest.raises(ServerError, match=r"ended with 1(.|\n)*no such luck"):
        server.start()
    assert not server.running


@pytest.mark.servers
def test_a_server_that_never_answers_is_an_error_and_is_ended(tmp_path: Path) -> None:
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    server = Broken([sys.executable, "-c", script], tmp_path / "log")

    with pytest.raises(ServerError, match="never answered"):
        server.start(timeout=1)
    assert gone(int(server.output()))


@pytest.mark.servers
def test_a_server_that_ignores_the_request_to_end_is_ended_by_force(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(600)"

    class Stubborn(Server):
        def ready(self) -> bool:
            return "up" in self.output()

    server = Stubborn([sys.executable, "-c", script], tmp_path / "log").start()
    pid = server.pid
    server.stop(timeout=0.2)

    assert gone(pid)


@pytest.mark.servers
def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    servers: list[Server] = []
    thread = threading.Thread(target=lambda: servers.append(start_redis(tmp_path)))
    if find_server():
        thread.start()
        thread.join()
    else:
        started(start_redis, tmp_path)

    with servers[0] as server:
        time.sleep(0.1)
        assert server.running


@pytest.mark.servers
@pytest.mark.parametrize("paused", [False, True])
def test_no_server_outlives_a_test_process_that_is_killed(tmp_path: Path, paused: bool) -> None:
    (tmp_path / "nginx").mkdir()
    script = f"""
import json, sys
from pathlib import Path
from tests.harness import Missing, nginx, postgres, process, redis
directory = Path({str(tmp_path)!r})
servers = []
for start in (
    lambda: redis.start_redis(directory),
    lambda: postgres.start_postgres(directory, next(iter(postgres.bindirs()), None)),
    lambda: nginx.start_nginx(directory / "nginx", [1]),
):
    try:
        servers.append(start())
    except Missing:
        pass
pids = [pid for server in servers for pid in process.family(server.pid)]
homes = [str(server._home) for server in servers if isinstance(server, postgres.Postgres)]
if {paused}:
    for server in servers:
        server.pause()
print(json.dumps([pids, homes, process._reaper().pid]), flush=True)
sys.stdin.read()
"""
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    pids, homes, reaper = json.loads(child.stdout.readline())
    if not pids:
        pytest.skip("none of the servers is on this machine")
    assert set(pids) <= living().keys()

    child.kill()
    child.communicate()

    assert gone(reaper)
    assert gone(*pids)
    assert not any(Path(home).exists() for home in homes)


def test_what_is_missing_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(postgres, "bindirs", list)

    for start, name in (
        (lambda: start_redis(tmp_path), "Redis"),
        (lambda: start_nginx(tmp_path, [1]), "nginx"),
        (lambda: start_postgres(tmp_path), "PostgreSQL"),
    ):
        with pytest.raises(Missing, match=f"{name} is not on this machine: apt install") as raised:
            start()
        assert raised.value.name == name
