"""The lines for nginx that docs/security.md gives for a flood of bots, in a real nginx."""

import re
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.harness.nginx import start_nginx
from tests.harness.probe import serve, write_probe
from tests.harness.production import needs_another_address
from tests.harness.skipping import started
from tests.harness.tls_client import ask, check_headers, raw

pytestmark = pytest.mark.servers


def test_bounds_the_documents_limit_per_address_holds_back_a_flood_and_nobody_else(
    tmp_path: Path,
) -> None:
    needs_another_address()
    text = (ROOT / "docs/security.md").read_text("utf-8")
    section = text.partition("### A flood of bots\n")[2].partition("\n### ")[0]
    zone, *lines = re.findall(r"`(limit_req[^`]*;)`", section)
    assert len(lines) == 2
    changes = {
        r"^upstream sessionsite \{": f"{zone}\nupstream sessionsite {{",
        r"^    location / \{": f"    location / {{\n{' '.join(lines)}",
    }
    directory = tmp_path / "nginx"
    directory.mkdir()
    with (
        serve(write_probe(tmp_path)) as backend,
        started(start_nginx, directory, [backend.port], changes=changes) as server,
    ):
        start = time.monotonic()
        flood = [ask(server, source="127.0.0.2") for _ in range(60)]
        visitor = [ask(server)[0].status for _ in range(5)]
        seconds = time.monotonic() - start
        sent = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        pages = [
            raw(server.https_port, sent, server.certificate, source="127.0.0.2") for _ in range(30)
        ]
    statuses = [response.status for response, _ in flood]
    assert set(statuses) == {200, 429}
    assert 20 <= statuses.count(200) <= 22 + 5 * seconds
    assert visitor == [200] * 5
    check_headers(next(page for page in pages if " 429 " in page[:20]), 429, https=True)
