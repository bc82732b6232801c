"""Parallel requests of one visitor lose nothing: keys, visits, messages, counts."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Site, results
from tests.races.gates import GateKeeper
from tests.races.processes import processes

VISITS = 100


def lost_keys(site: Site, rounds: int = 20, parallel: int = 20) -> int:
    """Each of `parallel` requests has loaded the session before any stores its own key."""
    expected: dict[str, str] = {}
    with site.crowd(parallel) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            gate = site.gate(parallel)
            keys = [f"{round_}-{number}" for number in range(parallel)]
            expected |= dict.fromkeys(keys, "x")
            answers = results([crowd.start("/set", cookie, loaded=gate, **{k: "x"}) for k in keys])
            assert {(answer.status, answer.sets_cookie) for answer in answers} == {(200, False)}
        stored = crowd.get("/read", cookie).json["data"]
    return len(expected.items() - stored.items())


def lost_visits(site: Site, path: Callable[[int], str]) -> int:
    """How many of `VISITS` parallel page views the history lacks."""
    with site.crowd(VISITS) as crowd:
        first = crowd.get("/contact")
        gate = site.gate(VISITS)
        paths = [path(number) for number in range(VISITS)]
        answers = results([crowd.start(p, first.cookie, loaded=gate) for p in paths])
        assert {(answer.status, answer.sets_cookie) for answer in answers} == {(200, False)}
        page = crowd.get("/contact", first.cookie).body.decode()
    (listed,) = re.findall("<ol>(.*)</ol>", page, re.DOTALL)
    urls = [html.unescape(url) for url in re.findall('href="(.*?)"', listed)]
    seen = Counter(re.sub("http://.*?/", "/", url) for url in urls)
    assert seen.pop("/contact") == 2
    assert seen <= Counter(paths)
    return (Counter(paths) - seen).total()


def lost_messages(site: Site, rounds: int = 10, parallel: int = 20) -> int:
    """How many messages, queued by parallel requests, are not shown exactly once."""
    lost = 0
    with site.crowd(parallel) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            gate = site.gate(parallel)
            messages = [f"{round_}-{number}" for number in range(parallel)]
            results([crowd.start("/flash", cookie, loaded=gate, message=m) for m in messages])
            shown = crowd.get("/pop", cookie).json["messages"]
            lost += (Counter(messages) - Counter(shown)).total()
            lost += (Counter(shown) - Counter(messages)).total()
            assert crowd.get("/pop", cookie).json["messages"] == []
    return lost


def wrongly_popped(site: Site, rounds: int = 20) -> int:
    """Messages shown never, or again after two parallel requests had shown them.

    A third request adds one while those two are at it.
    """
    wrong = 0
    with site.crowd(3) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            messages = [f"{round_}-{number}" for number in range(5)]
            late = f"{round_}-late"
            crowd.get("/flash", cookie, message=messages)
            gate = site.gate(3)
            flash = crowd.start("/flash", cookie, loaded=gate, message=late)
            pops = [crowd.start("/pop", cookie, loaded=gate) for _ in range(2)]
            results([flash])
            answers = [*results(pops), *(crowd.get("/pop", cookie) for _ in range(2))]
            shown = Counter(m for answer in answers for m in answer.json["messages"])
            assert shown.keys() <= {*messages, late}
            wrong += sum(not 1 <= shown[m] <= 2 for m in messages) + (shown[late] != 1)
    return wrong


def lost_increments(site: Site, clients: int = 50, increments: int = 20) -> int:
    with site.crowd(clients) as crowd:
        cookie = crowd.get("/set", first="").cookie

        def work(_: int) -> list[int]:
            return [crowd.get("/increment", cookie).json["counter"] for _ in range(increments)]

        returned = [number for numbers in crowd.map(work, range(clients)) for number in numbers]
        counter = crowd.get("/read", cookie).json["data"]["counter"]
    total = clients * increments
    if counter == total:
        assert sorted(returned) == list(range(1, total + 1))
    return total - int(counter)


@pytest.fixture(scope="module")
def the_site(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    with processes(directory, keeper, postgres.create_database("site"), "site") as site:
        yield site


class TestOnPostgreSQL:
    def test_every_parallel_request_keeps_its_key(self, on_postgresql: Site) -> None:
        assert lost_keys(on_postgresql) == 0

    def test_every_parallel_visit_is_in_the_history(self, the_site: Site) -> None:
        assert lost_visits(the_site, lambda number: f"/?visit={number}") == 0

    def test_as_many_visits_to_one_url_are_as_many(self, the_site: Site) -> None:
        assert lost_visits(the_site, lambda number: "/about") == 0

    def test_every_message_queued_in_parallel_is_shown_once(self, on_postgresql: Site) -> None:
        assert lost_messages(on_postgresql) == 0

    def test_messages_popped_in_parallel_are_shown_and_then_gone(self, on_postgresql: Site) -> None:
        assert wrongly_popped(on_postgresql) == 0

    def test_transact_counts_every_increment(self, on_postgresql: Site) -> None:
        assert lost_increments(on_postgresql) == 0


@pytest.mark.all
def test_no_update_is_lost_on_a_store_of_ones_own(on_lmdb: Site) -> None:
    assert lost_keys(on_lmdb, rounds=5) == 0
    assert lost_messages(on_lmdb, rounds=3) == 0
    assert wrongly_popped(on_lmdb, rounds=5) == 0
    assert lost_increments(on_lmdb, clients=20) == 0


class TestOnSQLite:
    def test_every_parallel_request_keeps_its_key(self, on_sqlite: Site) -> None:
        assert lost_keys(on_sqlite, rounds=5) == 0

    def test_every_message_queued_in_parallel_is_shown_once(self, on_sqlite: Site) -> None:
        assert lost_messages(on_sqlite, rounds=3) == 0

    def test_transact_counts_every_increment(self, on_sqlite: Site) -> None:
        assert lost_increments(on_sqlite, clients=10) == 0


class TestNaiveStores:
    def test_a_store_where_the_last_writer_wins_is_found(self, naive: Callable[..., Site]) -> None:
        site = naive("LastWriterWinsStore")
        assert lost_keys(site, rounds=2) > 0
        assert lost_messages(site, rounds=2) > 0
        assert wrongly_popped(site) > 0

    def test_and_loses_visits(self, naive: Callable[..., Site]) -> None:
        assert lost_visits(naive("LastWriterWinsStore", "site"), lambda number: f"/?{number}") > 0

    def test_a_store_without_a_lock_is_found(self, naive: Callable[..., Site]) -> None:
        site = naive("NoLockStore")
        assert lost_keys(site, rounds=2) > 0
        assert lost_increments(site, clients=20, increments=5) > 0
