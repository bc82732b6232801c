"""The launcher of a standby."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.skipping import required
from tests.harness.standby import Standby

pytestmark = pytest.mark.servers


@pytest.fixture
def standby(stoppable_postgres: Postgres, tmp_path: Path) -> Iterator[Standby]:
    stoppable_postgres.start()
    with required():
        standby = Standby(stoppable_postgres, tmp_path)
    with standby.start():
        yield standby


def test_a_synchronous_standby_has_what_was_committed_and_takes_over(
    standby: Standby, tmp_path: Path
) -> None:
    primary = standby.primary
    standby.make_synchronous()
    url = primary.create_database("app")
    with primary.connect(url) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 1 AS number")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), standby.connect() as other:
            other.execute("CREATE TABLE t ()")
    there = url.replace(f":{primary.port}/", f":{standby.port}/")

    primary.kill()
    standby.promote()

    with standby.connect(there) as connection:
        connection.execute("INSERT INTO numbers VALUES (2)")  # waits for no standby
        assert connection.execute("TABLE numbers").fetchall() == [(1,), (2,)]
        with Standby(standby, tmp_path).start() as second:
            second.make_synchronous()
            with second.connect(there.replace(f":{standby.port}/", f":{second.port}/")) as copy:
                assert copy.execute("TABLE numbers").fetchall() == [(1,), (2,)]


def test_a_commit_waits_while_the_synchronous_standby_is_frozen(standby: Standby) -> None:
    standby.make_synchronous()
    with standby.primary.connect() as connection, standby.primary.connect() as other:
        standby.pause()
        commit = threading.Thread(target=connection.execute, args=("CREATE TABLE waits ()",))
        commit.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        assert until(lambda: other.execute(waiting).fetchone() == (1,))
        assert commit.is_alive()

        standby.resume()
        commit.join(10)
        assert not commit.is_alive()
        other.execute("DROP TABLE waits")
