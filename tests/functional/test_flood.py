"""Floods: what deploy/nginx.conf lets through, and what visits without a cookie leave."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sessionsite.cli import main
from tests import ROOT
from tests.docs.blocks import take_one
from tests.harness import free_port
from tests.harness.nginx import SITE, Nginx, start_nginx
from tests.harness.probe import serve, write_probe
from tests.harness.production import (
    PRODUCTION,
    create_table,
    needs_another_address,
    production_ini,
    start_worker,
)
from tests.harness.skipping import started
from tests.harness.tls_client import ask, check_headers, raw

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]

CONF = SITE.read_text()
ROBOTS = take_one("operations.md", "Floods and bots", "nginx")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
FLOOD, VISITOR = "127.0.0.2", "127.0.0.1"
# Which address a client has, so that one machine can be many.
SAID = {r"^upstream": "set_real_ip_from 127.0.0.0/8;\nreal_ip_header X-Client;\nupstream"}


def limit(zone: str) -> tuple[int, int]:
    """Requests a second, and how many more at once, as the file has them."""
    rate = re.search(rf"zone={zone}:10m rate=(\d+)r/s;", CONF)
    burst = re.search(rf"limit_req zone={zone} burst=(\d+) nodelay;", CONF)
    assert rate
    assert burst
    return int(rate[1]), int(burst[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Nginx]:
    needs_another_address()
    directory = tmp_path / "nginx"
    directory.mkdir()
    with (
        serve(write_probe(tmp_path)) as backend,
        started(start_nginx, directory, [backend.port], changes=SAID, limited=True) as server,
    ):
        yield server


def answers(server: Nginx, count: int, *headers: str, path: str = "/", source: str = FLOOD) -> str:
    """All that comes back when so many requests are sent one after the other, without a pause."""
    lines = "".join(f"{line}\r\n" for line in ("Host: localhost", *headers))
    request = f"GET {path} HTTP/1.1\r\n{lines}"
    sent = f"{request}\r\n" * (count - 1) + f"{request}Connection: close\r\n\r\n"
    return raw(server.https_port, sent.encode(), server.certificate, source)


def statuses(text: str) -> list[str]:
    return re.findall(r"HTTP/1\.1 (\d+) ", text)


@pytest.mark.parametrize(
    ("zone", "headers"),
    [
        ("sessionsite_newcomers", []),
        ("sessionsite_newcomers", ["Cookie: other=1; __Host-sessionsite="]),
        ("sessionsite_clients", ["Cookie: other=1; __Host-sessionsite=made-up"]),
    ],
)
def test_bounds_a_flood_from_one_address_is_held_back(
    site: Nginx, zone: str, headers: list[str]
) -> None:
    rate, burst = limit(zone)
    start = time.monotonic()
    found = statuses(answers(site, burst + 100, *headers))
    passed = found.count("200")
    assert burst + 1 <= passed <= burst + 2 + rate * (time.monotonic() - start)
    assert found.count("429") == burst + 100 - passed
    assert statuses(answers(site, 1, source=VISITOR)) == ["200"]


def test_bounds_a_visitor_who_loads_pages_with_their_files_is_not_limited(site: Nginx) -> None:
    cookie = "Cookie: __Host-sessionsite=of-the-visitor"
    for page in range(8):
        found = answers(site, 1, *([cookie] if page else []))
        found += answers(site, 11, cookie, path="/static/site.css")
        assert set(statuses(found)) == {"200"}


def test_bounds_a_browser_that_keeps_no_cookies_loads_pages_with_their_files(site: Nginx) -> None:
    for _ in range(5):
        found = answers(site, 1) + answers(site, 15, path="/static/site.css")
        assert set(statuses(found)) == {"200"}


def test_bounds_the_cookie_is_that_of_production_ini() -> None:
    (name,) = re.findall(r"(?m)^session\.cookie_name = (.*)$", PRODUCTION.read_text("utf-8"))
    (pattern,) = re.findall(r'"~(\[; \]\S+)" "";', CONF)
    assert re.search(pattern, f"/;{name}=x")
    assert re.search(pattern, f"/;a=b; {name.replace('Host', 'Secure')}=x")
    assert not re.search(pattern, f"/;not-{name}=x")


# A 0a in an address is the end of a line to an expression that does not expect bytes.
@pytest.mark.parametrize("net", ["2001:db8:0:1", "2001:db8:a0a:a0a"])
def test_bounds_all_addresses_of_an_ipv6_net_are_one_client(site: Nginx, net: str) -> None:
    _, burst = limit("sessionsite_newcomers")
    ends = ["::1", "::a", ":a0a:a0a:a0a:a0a", ":ffff::"]
    found = [statuses(answers(site, burst, f"X-Client: {net}{end}")) for end in ends]
    assert found[0] == ["200"] * burst
    assert all("429" in each for each in found[1:])
    assert statuses(answers(site, 1, "X-Client: 2001:db8:0:2::1")) == ["200"]
    assert statuses(answers(site, 1, "X-Client: 192.0.2.1")) == ["200"]


@pytest.mark.usefixtures("site")
def test_bounds_what_is_refused_is_a_page_with_the_sites_headers(site: Nginx) -> None:
    _, burst = limit("sessionsite_newcomers")
    answer = answers(site, burst + 100)
    last = answer[answer.rindex("HTTP/1.1 ") :]
    check_headers(last, 429, https=True)
    assert "\r\nRetry-After: 10\r\n" in last
    assert "Retry-After" not in answer.partition("HTTP/1.1 429")[0]


def test_bounds_a_flood_does_not_fill_the_logs(site: Nginx) -> None:
    found = statuses(answers(site, 900))
    site.stop()
    logged = re.findall(r'HTTP/1\.1" (\d+) ', site.access_log.read_text())
    assert logged.count("200") == found.count("200")
    assert found.count("429") > 800
    assert logged.count("429") < 40  # 8 on average
    assert "limiting requests" not in site.output()


def test_the_documents_robots_txt_is_served(tmp_path: Path) -> None:
    changes = {r"^    location / \{": ROBOTS.replace("\\", "\\\\") + "    location / {"}
    with started(start_nginx, tmp_path, [free_port()], changes=changes) as server:
        response, body = ask(server, path="/robots.txt")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain"
    assert body.startswith(b"User-agent: *\nCrawl-delay: 10\n")


def test_visits_without_a_cookie_leave_what_the_document_says(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(OPERATIONS.split())
    said = re.search(r"([\d,]+) visits without a cookie are ([\d,]+) rows and ([\d.]+) MB", text)
    assert said
    visits, rows, megabytes = (float(number.replace(",", "")) for number in said.groups())
    create_table(postgres_url)
    config = production_ini(tmp_path, "session.new_timeout = 60")
    with start_worker(tmp_path, config, DATABASE_URL=postgres_url) as worker:

        def visit(count: int) -> None:
            connection = HTTPConnection("127.0.0.1", worker.port, timeout=30)
            for _ in range(count):
                connection.request("GET", "/", headers={"X-Forwarded-Proto": "https"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
            connection.close()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(visit, [int(visits) // 4] * 4))
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:

        def one(query: bytes) -> Any:
            found = connection.execute(query).fetchone()
            assert found
            return found[0]

        assert one(b"SELECT count(*) FROM sessions") == rows
        size = one(b"SELECT pg_total_relation_size('sessions')")
        assert 0.9 * megabytes < size / 1e6 < megabytes
        longest = one(b"SELECT max(expires_at - created_at) FROM sessions")
        assert longest < timedelta(seconds=61)
        connection.execute(b"UPDATE sessions SET expires_at = expires_at - interval '61 s'")
        monkeypatch.setenv("DATABASE_URL", postgres_url)
        assert main(["prune", str(config)]) == 0
        assert one(b"SELECT count(*) FROM sessions") == 0
        connection.execute("VACUUM sessions")
        assert one(b"SELECT pg_relation_size('sessions')") == 0
