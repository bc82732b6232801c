"""The launcher of pserve."""

import http.client
import json
from pathlib import Path

import pytest

from tests.harness import free_port, listening
from tests.harness.observing import gone
from tests.harness.probe import INI, serve, write_probe
from tests.harness.process import ServerError
from tests.harness.pserve import start_pserve

pytestmark = pytest.mark.servers


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_probe(tmp_path)


def test_pserve_serves_with_the_environment_given_and_ends(config: Path) -> None:
    with serve(config, SESSION_SECRET="s") as server:
        pid = server.pid
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/?a=b")
        seen = json.load(connection.getresponse())
        connection.close()

    assert seen["url"] == f"{server.url}/?a=b"
    assert {"PATH", "PYTHONPATH", "SESSION_SECRET"} <= set(seen["environment"])
    assert "HOME" not in seen["environment"]
    assert "Serving on" in server.output() or "Starting server" in server.output()
    assert gone(pid)
    assert not listening(server.port)


def test_pserve_is_killed_and_starts_again(config: Path) -> None:
    with serve(config) as server:
        pid = server.pid
        server.kill()
        assert gone(pid)
        server.start()
        assert listening(server.port)


def test_pserve_that_can_not_start_is_an_error_with_its_output(tmp_path: Path) -> None:
    config = tmp_path / "wrong.ini"
    config.write_text(INI)

    with pytest.raises(ServerError, match="No module named 'probe'"):
        start_pserve(
            config,
            env={},
            args=["--server-name=worker", f"http_port={free_port()}"],
            directory=tmp_path,
        )
