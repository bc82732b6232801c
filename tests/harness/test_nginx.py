"""The launcher of nginx."""

from pathlib import Path

import pytest

from tests.harness import listening
from tests.harness.nginx import adapt, start_nginx
from tests.harness.observing import gone
from tests.harness.process import family
from tests.harness.skipping import started


@pytest.mark.servers
def test_nginx_leaves_no_process(tmp_path: Path) -> None:
    with started(start_nginx, tmp_path, [1]) as server:
        pids = family(server.pid)
        assert len(pids) == 2
        server.kill()
        assert gone(*pids)
        server.start()
        pids = family(server.pid)

    assert gone(*pids)
    assert not listening(server.https_port)


def test_a_configuration_that_has_moved_on_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"deploy/nginx\.conf has no listen 80"):
        adapt("listen 8080;", {r"listen 80\b": "listen 1"})
