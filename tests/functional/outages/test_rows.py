"""Each way in which the database may be away, on real processes.

For each: 503 in time, with the cookie left alone; what needs no session is served all the while;
the same process serves again at once, and no visit that was answered 200 is lost.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.functional.outages.visitors import assert_an_outage
from tests.harness import free_port
from tests.harness.outages import ROWS, Place, Row
from tests.harness.postgres import Postgres
from tests.harness.production import HOSTS, SECRET, create_table, production_ini
from tests.harness.pserve import Pserve
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.all]

TIMEOUT = 2  # seconds: session.sql.timeout


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


def test_an_outage(row: Row, place: Place, site: Pserve) -> None:
    assert_an_outage(row.outage(place), site, TIMEOUT, place.server.password, room=row.room)
