"""What holds up one visitor holds up nobody else."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.functional.outages.asserting import assert_the_rest_answers
from tests.harness.postgres import Postgres
from tests.harness.production import (
    Browser,
    create_table,
    production_ini,
    start_worker,
    valkey_ini,
)
from tests.harness.redis import Redis

pytestmark = [pytest.mark.servers, pytest.mark.all]

TABS = 8  # more than the process has threads
SECONDS = 4


def repeat(work: Callable[[int], None]) -> tuple[threading.Event, threading.Thread]:
    """Call `work` with 0, 1, … in a thread, until the event is set."""
    stop = threading.Event()

    def run() -> None:
        number = 0
        while not stop.is_set():
            work(number)
            number += 1
            time.sleep(0.02)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return stop, thread


@dataclass(frozen=True)
class Place:
    """A store, of which one visitor's row can be locked."""

    config: Path
    url: str
    locked: Callable[[], AbstractContextManager[Any]]


@pytest.fixture(params=["postgres", "valkey"])
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(f"on_{request.param}")
    return place


@pytest.fixture
def on_postgres(postgres: Postgres, tmp_path: Path) -> Place:
    url = postgres.create_database("one_visitor")
    create_table(url)

    @contextmanager
    def locked() -> Iterator[None]:
        with postgres.connect(url) as admin, admin.transaction():
            admin.execute("SELECT FROM sessions FOR UPDATE")
            yield

    return Place(production_ini(tmp_path), url, locked)


@pytest.fixture
def on_valkey(redis: Redis, tmp_path: Path) -> Place:
    prefix = str(uuid4())

    @contextmanager
    def locked() -> Iterator[None]:
        (row,) = redis.run("KEYS", f"{prefix}:{{s:*}}")
        redis.run("SET", row + b":lock", "another's")
        yield
        redis.run("DEL", row + b":lock")

    return Place(valkey_ini(tmp_path, redis.url, prefix=prefix), "", locked)


def test_a_row_that_is_locked_holds_up_its_own_visitor_alone(place: Place, tmp_path: Path) -> None:
    with start_worker(tmp_path, place.config, DATABASE_URL=place.url) as worker:
        held_up = Browser(worker.url)
        held_up.get("/about?before")
        tabs: list[int] = []
        others: list[tuple[int, float]] = []

        def tab(number: int) -> None:
            browser = Browser(worker.url)
            browser.cookies = dict(held_up.cookies)
            tabs.append(browser.get(f"/about?{number}").status)

        other = Browser(worker.url)

        def visit(number: int) -> None:
            asked = time.monotonic()
            others.append((other.get(f"/?{number}").status, time.monotonic() - asked))

        with place.locked():
            running = [repeat(tab) for _ in range(TABS)] + [repeat(visit)]
            longest = 0.0
            began = time.monotonic()
            while time.monotonic() - began < SECONDS:
                asked = time.monotonic()
                assert_the_rest_answers(Browser(worker.url))
                longest = max(longest, time.monotonic() - asked)
                time.sleep(0.05)
        for stop, thread in running:
            stop.set()
            thread.join(60)
        assert {status for status, _ in others} == {200}
        assert max(seconds for _, seconds in others) < 2
        assert longest < 2
        assert tabs.count(503) > TABS  # at once, most of them
        assert held_up.get("/about?after").status == 200
        lines = [line for line in worker.output().splitlines() if "ERROR" in line]
        assert 0 < len(lines) < 5  # none per request
        assert "a request failed while others were answered" in lines[0]
