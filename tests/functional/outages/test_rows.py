"""Each way in which the database may be away, on real processes.

For each: 503 in time, with the cookie left alone; what needs no session is served all the while;
the same process serves again at once, and no visit that was answered 200 is lost.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.functional.outages.asserting import assert_the_rest_answers, assert_unavailable
from tests.harness import free_port
from tests.harness.outages import ROWS, Place, Row
from tests.harness.postgres import Postgres
from tests.harness.production import HOSTS, SECRET, Answer, Browser, create_table, production_ini
from tests.harness.pserve import Pserve
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.all]

TIMEOUT = 2  # seconds: session.sql.timeout
SLACK = 1  # for a machine that does other things too
VISITORS = 6  # more than the process has threads


@pytest.fixture(params=ROWS, ids=lambda row: row.outage.__name__)
def row(request: pytest.FixtureRequest) -> Row:
    row: Row = request.param
    return row


@pytest.fixture
def place(row: Row, stoppable_postgres: Postgres, tmp_path: Path) -> Iterator[Place]:
    server = stoppable_postgres
    server.start()
    url = server.create_database("outage")
    create_table(url)
    with ExitStack() as exits:
        place = Place(server, url, tmp_path, exits, site_url=url)
        with required():
            row.prepare(place)
        yield place


@pytest.fixture
def site(place: Place) -> Iterator[Pserve]:
    config = production_ini(
        place.directory, f"session.sql.timeout = {TIMEOUT}", "sessionsite.history_limit = 1000",
        "sessionsite.history_bytes = 60000",
    )  # fmt: skip
    env = {"SESSION_SECRET": SECRET, "SITE_HOSTS": HOSTS, "DATABASE_URL": place.site_url}
    args = ["--server-name=worker", f"http_port={free_port()}"]
    worker = Pserve(config, args, env, place.directory)
    worker.command[:0] = place.prefix
    with worker.start():
        yield worker


@dataclass
class Visitor:
    """One who knows what was answered."""

    browser: Browser
    answered: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def visit(self) -> Answer:
        path = f"/contact?{next(self._numbers)}"
        before = dict(self.browser.cookies)
        answer = self.browser.get(path)
        if answer.status == 200:
            self.answered.append(path)
        else:
            assert_unavailable(answer)
            assert self.browser.cookies == before
            self.unknown.add(path)
        return answer

    def assert_whole(self, page: Answer, url: str) -> None:
        """The history has what was answered, once and in order, and at most once what was not."""
        history = [visit.removeprefix(url) for visit in reversed(page.history)]
        assert [path for path in history if path not in self.unknown] == self.answered
        assert len(set(history)) == len(history)


class Crowd(Thread):
    """Visitors at full speed, until `stop`."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.visitors = [Visitor(Browser(url)) for _ in range(VISITORS)]
        self._stopped = Event()
        self._failed: list[BaseException] = []

    def run(self) -> None:
        threads = [Thread(target=self._visit, args=[visitor]) for visitor in self.visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _visit(self, visitor: Visitor) -> None:
        try:
            while not self._stopped.is_set():
                visitor.visit()
                time.sleep(0.01)
        except BaseException as exc:
            self._failed.append(exc)

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)
        assert self._failed == []


def health_of(site: Pserve) -> Answer:
    return Browser(site.url).get("/healthz")


def test_an_outage(row: Row, place: Place, site: Pserve) -> None:
    visitor = Visitor(Browser(site.url))
    for _ in range(3):
        assert visitor.visit().status == 200
    crowd = Crowd(site.url)
    crowd.start()
    with row.outage(place):
        began = asked = time.monotonic()
        while visitor.visit().status == 200:
            assert asked - began < row.room
            asked = time.monotonic()
        began = asked
        assert time.monotonic() - began < TIMEOUT + SLACK
        longest = 0.0
        while time.monotonic() - began < TIMEOUT + 3 * SLACK:
            asked = time.monotonic()
            assert_the_rest_answers(Browser(site.url))
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.05)
        assert longest < TIMEOUT  # of three requests, one of which may have met the first moment
        health = health_of(site)
        deadline = time.monotonic() + 20  # a full disk may have room for the check's own row
        while health.status == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
            health = health_of(site)
        assert health.status == 503
        assert '"cause": "' in health.text
        assert place.server.password not in health.text
    ended = time.monotonic()
    while (page := visitor.visit()).status != 200:
        assert time.monotonic() - ended < 1 + SLACK
    crowd.stop()
    visitor.assert_whole(page, site.url)
    for other in crowd.visitors:
        page = other.visit()
        assert page.status == 200
        other.assert_whole(page, site.url)
    assert health_of(site).status == 200
    log = site.output()
    assert "Traceback" not in log
    assert sum("ERROR" in line for line in log.splitlines()) < 10  # none per request
