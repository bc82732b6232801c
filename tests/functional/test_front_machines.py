"""Many front machines on one database: nothing is sticky, clocks differ, one of them prunes."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from sessionsite.sessions.sql.postgresql import ADVISORY_LOCK
from sessionsite.testing import in_parallel
from tests.harness.clocks import clock_apart
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.production import Browser, create_table, production_ini, start_worker
from tests.harness.pserve import Pserve
from tests.harness.recording import ALL_VISITS, RecordingVisitor
from tests.harness.skipping import required

pytestmark = [pytest.mark.servers, pytest.mark.all]

Serve = Callable[..., Pserve]
TOLERATED = 30  # seconds: docs/deployment.md, "Many front machines"
EXPIRED = 2000
SEED = """
INSERT INTO sessions (id, token_hash, payload, version, created_at, seen_at, expires_at)
SELECT 'expired-' || n, '\\x00', '{}', 1, now() - interval '1 day', now() - interval '1 day',
       now() - interval '1 hour' FROM generate_series(1, %s) n
"""
# So that a sweep takes seconds, and is seen while it lasts.
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.002); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON sessions FOR EACH ROW EXECUTE FUNCTION slow()
"""
SWEEPING = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objid = %s AND database =
      (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def serve(tmp_path: Path, postgres_url: str) -> Iterator[Serve]:
    """Start one more process of the site, on one database."""
    create_table(postgres_url)
    with ExitStack() as servers:

        def serve(*lines: str, name: str = "site", **env: str) -> Pserve:
            url = f"{postgres_url}?application_name={name}"
            config = production_ini(tmp_path, *ALL_VISITS, *lines)
            return servers.enter_context(start_worker(tmp_path, config, DATABASE_URL=url, **env))

        yield serve


def visits_in_parallel(processes: list[Pserve], visitors: int = 4, visits: int = 25) -> None:
    """Visitors at full speed, each of whom goes to the next process with each request."""
    urls = [process.url for process in processes]

    def browse(number: int) -> None:
        visitor = RecordingVisitor(*urls[number % len(urls) :], *urls[: number % len(urls)])
        for _ in range(visits):
            assert visitor.visit().status == 200
        visitor.check()

    in_parallel(visitors, browse)
    for process in processes:
        assert "Traceback" not in process.output()
        assert "may be stolen" not in process.output()


def test_nothing_is_sticky(serve: Serve) -> None:
    processes = [serve() for _ in range(2)]
    visits_in_parallel(processes)
    browser = Browser(processes[0].url)
    browser.get("/about")
    before = dict(browser.cookies)
    browser.turn_to(processes[1].url)
    assert browser.forget().status == 303
    for process in processes:  # ended by one is ended for all
        browser.cookies = dict(before)
        browser.turn_to(process.url)
        assert browser.get("/contact").history == [f"{process.url}/contact"]


def tabs_in_parallel(processes: list[Pserve], tabs: int = 4, visits: int = 10) -> None:
    """One visitor whose tabs share their cookies and visit at full speed; all is kept."""
    first = Browser(processes[0].url)
    first.get("/about")

    def visit(number: int) -> None:
        for each in range(visits):
            tab = Browser(processes[(number + each) % len(processes)].url)
            tab.cookies = first.cookies
            assert tab.get(f"/?{number}-{each}").status == 200

    in_parallel(tabs, visit)
    found = [url.partition("?")[2] for url in first.get("/about").history if "?" in url]
    assert sorted(found) == sorted(f"{n}-{each}" for n in range(tabs) for each in range(visits))
    for process in processes:
        assert "may be stolen" not in process.output()


def test_parallel_requests_of_one_visitor_to_two_machines_are_all_kept(serve: Serve) -> None:
    tabs_in_parallel([serve() for _ in range(2)])


def at_another_clock(serve: Serve, seconds: int, *lines: str) -> list[Pserve]:
    """Two processes, the second of which has a clock so many seconds ahead."""
    with required():
        apart = clock_apart(seconds)
    return [serve(*lines), serve(*lines, **apart)]


@pytest.mark.parametrize("seconds", [TOLERATED, -TOLERATED])
def test_clocks_that_differ_by_half_a_minute_lose_no_visit_and_log_nobody_out(
    serve: Serve, seconds: int
) -> None:
    processes = at_another_clock(serve, seconds)
    tabs_in_parallel(processes)
    visits_in_parallel(processes)


@pytest.mark.parametrize(("seconds", "is_theft"), [(TOLERATED, False), (60, True)])
def test_from_a_minute_on_a_late_request_is_taken_for_a_theft(
    serve: Serve, postgres: Postgres, postgres_url: str, seconds: int, is_theft: bool
) -> None:
    slow, fast = at_another_clock(serve, seconds, "session.renewal_time = 600")
    browser = Browser(slow.url)
    browser.get("/about")
    late = Browser(fast.url)
    late.cookies = dict(browser.cookies)
    with postgres.connect(postgres_url) as connection:
        connection.execute("UPDATE sessions SET created_at = created_at - interval '600 s'")
    browser.get("/about")
    assert browser.cookies != late.cookies
    browser.get("/about")  # the new token has arrived
    assert late.get("/contact").status == 200
    assert ("may be stolen" in fast.output()) is is_theft
    assert len(browser.get("/").history) == (1 if is_theft else 5)  # session.on_reuse = end


def test_a_clock_apart_is_told_at_start_and_by_the_health_check(serve: Serve) -> None:
    with required():
        apart = clock_apart(-3600)
    right, wrong = serve(), serve(**apart)
    said = "the clock of the database is +3600 seconds apart from this host's"
    assert said in wrong.output()
    assert said in health(wrong)["remark"]
    assert "remark" not in health(right)
    assert "seconds apart" not in right.output()


def health(process: Pserve) -> dict[str, str]:
    with urllib.request.urlopen(f"{process.url}/healthz", timeout=20) as answer:
        found: dict[str, str] = json.load(answer)
    return found


def test_one_of_all_processes_prunes_and_when_it_dies_another_goes_on(
    serve: Serve, postgres: Postgres, postgres_url: str
) -> None:
    names = ["one", "two", "three"]
    processes = {name: serve("session.prune_interval = 1", name=name) for name in names}
    with postgres.connect(postgres_url) as connection:
        connection.execute(SLOW)
        connection.execute(SEED, [EXPIRED])
        for process in processes.values():
            assert Browser(process.url).get("/").status == 200  # its pruner begins here
        seen: list[str] = []

        def left() -> int:
            """How many expired rows there are; notes who deletes them just now."""
            found = sweeping(connection)
            assert len(found) <= 1
            seen.extend(found)
            query = "SELECT count(*) FROM sessions WHERE id LIKE 'expired-%'"
            ((count,),) = connection.execute(query).fetchall()
            return int(count)

        assert until(lambda: left() < EXPIRED - 200)
        first = seen[-1]
        processes[first].kill()
        assert left() > 0
        assert until(lambda: left() == 0, 60)
        assert seen[-1] != first


def sweeping(connection: psycopg.Connection[tuple[str]]) -> list[str]:
    """Who has the turn to prune just now."""
    return [name for (name,) in connection.execute(SWEEPING, [ADVISORY_LOCK + 1]).fetchall()]
