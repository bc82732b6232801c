"""The launcher of Redis."""

from pathlib import Path

import pytest

from tests.harness import listening
from tests.harness.observing import answer, gone
from tests.harness.redis import find_server, start_redis
from tests.harness.skipping import started


def test_valkey_is_taken_before_redis_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TEST_VALKEY_SERVER", raising=False)
    assert find_server() is None
    for name in ("redis-server", "valkey-server"):
        program = tmp_path / name
        program.touch(mode=0o755)
        assert find_server() == str(program)
    monkeypatch.setenv("TEST_VALKEY_SERVER", "redis-server")
    assert find_server() == str(tmp_path / "redis-server")


@pytest.mark.servers
def test_redis_starts_pauses_and_stops(tmp_path: Path) -> None:
    with started(start_redis, tmp_path) as server:
        pid = server.pid
        assert answer(server.port, b"PING\r\n", 5) == b"+PONG"

        server.pause()
        assert answer(server.port, b"PING\r\n", 5) == b""
        server.resume()
        assert answer(server.port, b"PING\r\n", 5) == b"+PONG"

    assert gone(pid)
    assert not listening(server.port)


@pytest.mark.servers
def test_redis_starts_again_empty_at_the_same_url(tmp_path: Path) -> None:
    with started(start_redis, tmp_path) as server:
        url, pid = server.url, server.pid
        assert answer(server.port, b"SET a 1\r\n", 3) == b"+OK"

        server.kill()
        assert gone(pid)
        assert not listening(server.port)
        server.start()

        assert server.url == url
        assert answer(server.port, b"GET a\r\n", 3) == b"$-1"
