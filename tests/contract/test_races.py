"""Races of one visitor's requests, on every store: all have loaded before the first one saves.

Each race counts what went wrong. On stores that are broken on purpose it must count something.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from sessionsite.history import record_visit
from tests.contract.kit import Kit, begin, stored
from tests.harness.visitor import Visitor
from tests.races.broken import LastWriterWinsStore, NoLockStore, UpsertStore

# SQLite has one writer at a time, so its thousands of requests take a while: for test-all.
pytestmark = pytest.mark.parametrize(
    "kit",
    [
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("sqlite", marks=pytest.mark.all),
        pytest.param("postgresql", marks=pytest.mark.servers),
    ],
    indirect=True,
)

ROUNDS = 1000
Work = Callable[[Any], Any]


@dataclass
class Race:
    """Runs the requests of one visitor so that all of them overlap."""

    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(20))

    def run(self, visitor: Visitor, *works: Work) -> list[Visitor]:
        """Open a request for each of `works`, then do and close them all at once.

        Returns a copy of the visitor for each, with what its response set.
        """
        copies = [Visitor(visitor.factory, **visitor.cookies) for _ in works]
        requests = [copy.open() for copy in copies]

        def finish(copy: Visitor, request: Any, work: Work) -> None:
            work(request.session)
            copy.close(request)

        list(self.threads.map(finish, copies, requests, works))
        return copies


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    runner = Race()
    yield runner
    runner.threads.shutdown()


def data(visitor: Visitor) -> dict[str, Any]:
    return dict(visitor.open().session)


def lost_keys(kit: Kit, race: Race, rounds: int = 20) -> int:
    lost = 0
    for _ in range(rounds):
        visitor = begin(kit)
        race.run(visitor, *(lambda s, n=n: s.__setitem__(f"key{n}", n) for n in range(20)))
        lost += 20 - sum(f"key{n}" in data(visitor) for n in range(20))
    return lost


def lost_visits(kit: Kit, race: Race, url: str) -> int:
    """100 visits, 20 at once; `url` may hold a number."""
    visitor = begin(kit)

    def visit(n: int) -> Work:
        def work(session: Any) -> None:
            session["history"] = record_visit(
                session.get("history", []), url.format(n), limit=1000, max_bytes=None
            )

        return work

    for first in range(0, 100, 20):
        race.run(visitor, *(visit(n) for n in range(first, first + 20)))
    history = data(visitor)["history"]
    assert set(history) <= {url.format(n) for n in range(100)}
    return 100 - len(history)


def lost_increments(kit: Kit, race: Race) -> int:
    """50 clients with 20 increments each, 20 clients at once."""
    visitor = begin(kit, {"n": 0})

    def increment(session: Any) -> None:
        session["n"] += 1

    for clients in (20, 20, 10):
        race.run(visitor, *[lambda s: [s.transact(increment) for _ in range(20)]] * clients)
    return 1000 - int(data(visitor)["n"])


def revivals(kit: Kit, race: Race, rounds: int = ROUNDS) -> int:
    """A logout among a reader, a writer, a toucher: rows that live on, and cookies that return."""
    found = 0
    for _ in range(rounds):
        visitor = begin(kit)
        works = [
            lambda s: s.invalidate(),
            lambda s: s.get("a"),
            lambda s: s.update(a=2),
            lambda s: s.touch(),
        ]
        _, *others = race.run(visitor, *works)
        found += stored(kit, visitor) is not None
        found += any(other.set_cookie for other in others)
    return found


def rotation_faults(kit: Kit, race: Race, rounds: int = ROUNDS) -> int:
    """A `regenerate()` among readers and writers: lost data, second tokens, an old token alive."""
    found = 0
    for _ in range(rounds):
        visitor = begin(kit)
        works = [
            lambda s: s.regenerate(),
            lambda s: s.get("a"),
            lambda s: s.update(b=2),
            lambda s: s.update(c=3),
        ]
        renewed, *others = race.run(visitor, *works)
        found += data(renewed) != {"a": 1, "b": 2, "c": 3}
        found += bool(data(visitor))
        found += len(renewed.set_cookie) != 1 or any(other.set_cookie for other in others)
    return found


class TestRaces:
    def test_parallel_requests_that_set_keys_of_their_own_lose_none(
        self, kit: Kit, race: Race
    ) -> None:
        assert lost_keys(kit, race) == 0

    @pytest.mark.parametrize("url", ["http://h/?{}", "http://h/"], ids=["different", "same"])
    def test_a_hundred_parallel_visits_are_a_hundred(self, kit: Kit, race: Race, url: str) -> None:
        assert lost_visits(kit, race, url) == 0

    def test_fifty_clients_count_to_a_thousand(self, kit: Kit, race: Race) -> None:
        assert lost_increments(kit, race) == 0

    def test_a_logout_is_never_undone(self, kit: Kit, race: Race) -> None:
        assert revivals(kit, race) == 0

    def test_a_rotation_loses_nothing_and_leaves_one_token(self, kit: Kit, race: Race) -> None:
        assert rotation_faults(kit, race) == 0

    def test_flash_messages_queued_at_once_are_all_shown_once(self, kit: Kit, race: Race) -> None:
        visitor = begin(kit)
        race.run(visitor, *(lambda s, n=n: s.flash(f"message {n}") for n in range(20)))
        with visitor.request() as session:
            assert sorted(session.pop_flash()) == sorted(f"message {n}" for n in range(20))
        assert visitor.open().session.pop_flash() == []

    def test_messages_popped_twice_at_once_are_never_lost(self, kit: Kit, race: Race) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            for n in range(5):
                session.flash(n)
        shown: list[Any] = []
        race.run(
            visitor,
            lambda s: shown.extend(s.pop_flash()),
            lambda s: shown.extend(s.pop_flash()),
            lambda s: s.flash(5),
        )
        assert {n: shown.count(n) in (1, 2) for n in range(5)} == dict.fromkeys(range(5), True)
        assert visitor.open().session.pop_flash() == [5]


class TestWhatTheRacesFind:
    """The stores as a first attempt has them."""

    def test_last_writer_wins_loses_updates(self, kit: Kit, race: Race) -> None:
        kit.store = LastWriterWinsStore(kit.store)
        assert lost_keys(kit, race, rounds=3) > 0
        assert lost_visits(kit, race, "http://h/?{}") > 0
        assert lost_visits(kit, race, "http://h/") > 0

    def test_an_upsert_revives_sessions(self, kit: Kit, race: Race) -> None:
        kit.store = UpsertStore(kit.store)
        assert revivals(kit, race, rounds=100) > 0

    def test_without_a_lock_increments_are_lost(self, kit: Kit, race: Race) -> None:
        kit.store = NoLockStore(kit.store)
        assert lost_increments(kit, race) > 0

    def test_last_writer_wins_undoes_rotations(self, kit: Kit, race: Race) -> None:
        kit.store = LastWriterWinsStore(kit.store)
        assert rotation_faults(kit, race, rounds=100) > 0
