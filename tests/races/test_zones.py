"""Sessions end to the second, with server, database and client in three time zones."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from sessionsite.sessions.sql.postgresql import connection_parameters
from tests.harness.postgres import Postgres
from tests.races.clients import Crowd, Site
from tests.races.gates import GateKeeper
from tests.races.processes import processes

SERVER, DATABASE, CLIENT = "America/New_York", "Australia/Lord_Howe", "Europe/Berlin"
# When the clocks of one of them are put forward or back.
CHANGES = [
    (SERVER, datetime(2026, 3, 8, 7, 0, tzinfo=UTC)),
    (SERVER, datetime(2026, 11, 1, 6, 0, tzinfo=UTC)),
    (DATABASE, datetime(2026, 4, 4, 15, 0, tzinfo=UTC)),
    (DATABASE, datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    (CLIENT, datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    (CLIENT, datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
IDLE, LIFETIME = 20 * MINUTE, 50 * MINUTE

Start = Callable[..., AbstractContextManager[Site]]


@pytest.fixture
def start(
    directory: Path,
    keeper: GateKeeper,
    postgres: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Start]:
    """Start a process in one zone, with its database in another, for a client in a third."""
    with postgres.connect() as connection:
        alter = sql.SQL("ALTER DATABASE {} SET timezone = {}")
        name = sql.Identifier(postgres_url.rpartition("/")[2])
        connection.execute(alter.format(name, sql.Literal(DATABASE)))

    def start(more: Mapping[str, str] | None = None) -> AbstractContextManager[Site]:
        settings = {
            "session.lifetime": str(int(LIFETIME.total_seconds())),
            "session.reissue_time": "0",
            **(more or {}),
        }
        env = {"TZ": SERVER}
        return processes(directory, keeper, postgres_url, settings=settings, count=1, env=env)

    with monkeypatch.context() as patch:
        patch.setenv("TZ", CLIENT)
        time.tzset()
        yield start
    time.tzset()


def select(site: Site, expression: str, id: str) -> object:
    """What a client in a zone of its own reads from the table."""
    with psycopg.connect(
        **connection_parameters(site.url), options=f"-c timezone={CLIENT}"
    ) as connection:
        query = f"SELECT {expression} FROM sessions WHERE id = %s"
        row = connection.execute(query, [id]).fetchone()
    return row[0] if row else None


def wrong_ends(site: Site) -> int:
    """Sessions that are dead a second before their end, or alive at it, or store another end."""
    wrong = 0
    with site.crowd(1) as crowd:
        for _, change in CHANGES:
            begun = change - 10 * MINUTE
            for visits, end in [
                ([], begun + IDLE),
                ([15 * MINUTE], begun + 35 * MINUTE),
                ([15 * MINUTE, 30 * MINUTE, 45 * MINUTE], begun + LIFETIME),
            ]:
                for age, lives in [(-SECOND, True), (0 * SECOND, False)]:
                    cookie, id_ = _visit(crowd, begun, [begun + visit for visit in visits])
                    stored = select(site, "expires_at", id_)
                    # In UTC: in a zone, a time in the hour that comes twice equals no other.
                    ends = stored.astimezone(UTC) if isinstance(stored, datetime) else None
                    wrong += ends != end
                    seen = crowd.get("/read", cookie, now=end + age).json
                    wrong += (seen["data"] == {"first": "x"}) != lives
    return wrong


def _visit(crowd: Crowd, begun: datetime, visits: list[datetime]) -> tuple[str, str]:
    cookie = crowd.get("/set", now=begun, first="x").cookie
    for visit in [begun, *visits]:
        id_ = crowd.get("/read", cookie, now=visit).json["id"]
    return cookie, id_


@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_the_clocks_are_changed_at_these_times(zone: str, change: datetime) -> None:
    offsets = {(change + d).astimezone(ZoneInfo(zone)).utcoffset() for d in (-SECOND, SECOND)}
    assert len(offsets) == 2


def test_the_three_are_in_three_zones(start: Start) -> None:
    with start() as site, site.crowd(1) as crowd:
        id_ = crowd.get("/read", crowd.get("/set", first="x").cookie).json["id"]
        assert crowd.get("/zone").json == ["EST", "EDT"]
        assert time.tzname == ("CET", "CEST")
        assert select(site, "current_setting('TimeZone')", id_) == CLIENT
        with site.store.engine.connect() as connection:
            row = connection.exec_driver_sql("SHOW timezone").one()
    assert row[0] == DATABASE


def test_asvs_7_3_1_sessions_end_to_the_second_over_every_change_of_the_clocks(
    start: Start,
) -> None:
    with start() as site:
        assert wrong_ends(site) == 0


def test_by_the_databases_own_clock_a_session_has_its_idle_time_before_it(start: Start) -> None:
    with start() as site, site.crowd(1) as crowd:
        id_ = crowd.get("/read", crowd.get("/set", first="x").cookie).json["id"]
        left = select(site, "extract(epoch FROM expires_at - now())::float", id_)
    assert isinstance(left, float)
    assert IDLE.total_seconds() - 5 < left < IDLE.total_seconds()


def test_by_the_real_clock_sessions_end_when_they_say(start: Start) -> None:
    """Ask for each session once, since a request extends it, at its own distance from its end."""
    distances = [-1.0, -0.5, -0.2, 0.0, 0.05, 0.2, 0.5]
    judged = set()
    with start({"session.timeout": "2"}) as site, site.crowd(len(distances)) as crowd:

        def watch(distance: float) -> None:
            cookie = crowd.get("/set", first="x").cookie
            id_ = crowd.get("/read", cookie).json["id"]
            end = select(site, "expires_at", id_)
            assert isinstance(end, datetime)
            instant = end + timedelta(seconds=distance)
            time.sleep(max(0, (instant - datetime.now(UTC)).total_seconds()))
            sent = datetime.now(UTC)
            alive = not crowd.get("/read", cookie).json["new"]
            if datetime.now(UTC) < end:
                assert alive, f"dead {end - sent} before its end"
                judged.add("before")
            elif sent >= end:
                assert not alive, f"alive {sent - end} after its end"
                judged.add("after")

        crowd.map(watch, distances)
    assert "after" in judged


def test_a_store_that_goes_by_the_clock_on_the_wall_is_found(start: Start) -> None:
    with start({"races.store": "WallClockStore"}) as site:
        assert wrong_ends(site) > 0
