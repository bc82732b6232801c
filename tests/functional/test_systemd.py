"""deploy/sessionsite@.service starts what it is meant to start."""

import http.client
import os
import re
import shlex
import signal
import sysconfig
from pathlib import Path

import pytest

from sessionsite.cli import main
from sessionsite.servers.waitress import StopSettings
from sessionsite.sessions.pruner import LAST_BATCH
from tests import ROOT
from tests.harness import free_port
from tests.harness.process import Server

UNIT = (ROOT / "deploy" / "sessionsite@.service").read_text("utf-8")
OPTIONS = dict(re.findall(r"(?m)^(\w+)=(.*)$", UNIT))
# Only the project's folder differs here from what the unit assumes.
PROGRAMS = Path(sysconfig.get_path("scripts"))


class Instance(Server):
    """What systemd does for `systemctl start sessionsite@PORT`, without the sandbox."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        folder = f"{OPTIONS['WorkingDirectory']}/.venv/bin"
        assert folder in OPTIONS["ExecStart"]
        command = OPTIONS["ExecStart"].replace(folder, str(PROGRAMS))
        for escaped, plain in (("%i", str(self.port)), ("%%", "%"), ("$$", "$")):
            command = command.replace(escaped, plain)
        super().__init__(
            shlex.split(command),
            directory / "journal",
            cwd=ROOT,
            env=environment,
        )

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.get("/healthz") == 200
        except OSError:
            return False


@pytest.fixture
def environment(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the unit's EnvironmentFile holds; the table is there."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    assert main(["init-db", str(ROOT / "production.ini")]) == 0
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": sqlite_url,
        "SESSION_SECRET": "only-the-test-of-the-unit-knows-this-one",
        "SITE_HOSTS": "127.0.0.1",
    }


def test_a_process_that_a_signal_has_stopped_is_started_again() -> None:
    """It ends with status 0, which is a success by systemd's `on-failure`."""
    assert OPTIONS["Restart"] == "always"


@pytest.mark.servers
def test_each_instance_serves_at_its_own_port(tmp_path: Path, environment: dict[str, str]) -> None:
    folders = [tmp_path / name for name in ("one", "another")]
    for folder in folders:
        folder.mkdir()
    with (
        Instance(folders[0], environment).start() as one,
        Instance(folders[1], environment).start() as another,
    ):
        assert one.port != another.port
        assert one.get("/") == another.get("/") == 200


@pytest.mark.servers
def test_each_instance_has_one_core_the_next_port_the_next_core(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with Instance(tmp_path, environment).start() as instance:
        cores = os.sched_getaffinity(0)
        own = {instance.port % len(cores)}
        assert os.sched_getaffinity(instance.pid) == (own if own <= cores else cores)


@pytest.mark.servers
def test_an_instance_starts_where_it_can_not_have_its_core(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    taskset = tmp_path / "taskset"
    taskset.write_text("#!/bin/sh\nexit 1\n")
    taskset.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with Instance(tmp_path, environment | {"PATH": path}).start() as instance:
        assert instance.get("/") == 200


@pytest.mark.servers
def test_its_stop_signal_ends_an_instance_in_good_order(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    assert "KillSignal" not in OPTIONS  # SIGTERM, then
    with Instance(tmp_path, environment).start() as instance:
        os.kill(instance.pid, signal.SIGTERM)
        assert instance.wait(int(OPTIONS["TimeoutStopSec"])) == 0
        assert "Traceback" not in instance.output()


def test_an_instance_may_take_as_long_as_its_requests_and_its_pruner() -> None:
    assert int(OPTIONS["TimeoutStopSec"]) > StopSettings().stop_timeout + LAST_BATCH


def test_nothing_secret_is_where_anyone_can_read_it() -> None:
    assert "Environment" not in OPTIONS
    assert OPTIONS["EnvironmentFile"] == "/etc/sessionsite/environment"
    assert not re.search("secret|password|DATABASE_URL", OPTIONS["ExecStart"], re.IGNORECASE)


def test_the_ports_in_its_example_are_those_of_the_nginx_configuration() -> None:
    proxied = re.findall(
        r"(?m)^ *server 127\.0\.0\.1:(\d+)", (ROOT / "deploy/nginx.conf").read_text()
    )
    assert re.findall(r"sessionsite@(\d+)", UNIT.partition("[Unit]")[0]) == proxied
