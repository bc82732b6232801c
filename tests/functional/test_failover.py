"""The primary dies under load, and its synchronous standby takes over: no visit is lost."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sessionsite.testing import in_parallel
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.production import Browser, create_table, production_ini, start_worker
from tests.harness.pserve import Pserve
from tests.harness.recording import ALL_VISITS, RecordingVisitor
from tests.harness.skipping import required
from tests.harness.standby import Standby

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]

VISITORS = 6
TIMEOUT = 2  # session.sql.timeout, in seconds
BACK = 5  # seconds, after the standby has taken over: for a machine that does other things too


@pytest.fixture
def pair(stoppable_postgres: Postgres, tmp_path: Path) -> Iterator[Standby]:
    """A synchronous standby of a server."""
    stoppable_postgres.start()
    with required():
        standby = Standby(stoppable_postgres, tmp_path)
    with standby.start():
        standby.make_synchronous()
        yield standby


@pytest.fixture
def worker(pair: Standby, tmp_path: Path) -> Iterator[Pserve]:
    """The site, which knows of both servers."""
    primary = pair.primary
    database = primary.create_database("failover")
    create_table(database)
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{pair.port}"
    url = f"postgresql://{primary.user}:{quote(primary.password)}@{hosts}/"
    url += f"{database.rpartition('/')[2]}?target_session_attrs=read-write"
    config = production_ini(tmp_path, f"session.sql.timeout = {TIMEOUT}", *ALL_VISITS)
    with start_worker(tmp_path, config, DATABASE_URL=url) as worker:
        yield worker


def test_no_visit_is_lost_when_the_primary_dies_and_the_same_process_serves_on(
    pair: Standby, worker: Pserve
) -> None:
    visitors = [RecordingVisitor(worker.url) for _ in range(VISITORS)]
    over: list[float] = []

    def work(number: int) -> None:
        if number == VISITORS:
            assert until(lambda: all(len(each.answered) > 10 for each in visitors))
            pair.primary.kill()
            pair.promote()
            over.append(time.monotonic())
            return
        while not over or visitors[number].last < over[0]:
            visitors[number].visit()

    in_parallel(VISITORS + 1, work)

    assert time.monotonic() - over[0] < BACK
    for visitor in visitors:
        visitor.check()
    assert worker.running


def test_a_commit_that_the_standby_never_got_was_not_answered_200(
    pair: Standby, worker: Pserve
) -> None:
    """The standby goes first: commits wait for it, and then the primary dies with them.

    It is stopped, not frozen: what the primary had sent to a frozen one would reach it still.
    """
    visitors = [RecordingVisitor(worker.url) for _ in range(VISITORS)]
    for visitor in visitors:
        assert visitor.visit().status == 200
    pair.stop()
    in_parallel(VISITORS, lambda number: [visitors[number].visit() for _ in range(3)])
    pair.primary.kill()
    pair.start()
    pair.promote()

    assert until(lambda: Browser(worker.url).get("/").status == 200, BACK)
    for visitor in visitors:
        visitor.check()
