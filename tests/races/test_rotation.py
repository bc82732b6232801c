"""regenerate() and renewal by time among requests in flight: one live token, nothing lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Site, results
from tests.races.gates import GateKeeper
from tests.races.processes import processes

BATCH = 20
RENEWAL, GRACE = timedelta(seconds=600), timedelta(seconds=30)


def rows(site: Site) -> int:
    counts = site.store.counts(datetime.now(UTC))
    return int(counts.live + counts.expired)


def wrong_rotations(site: Site, races: int = 1000) -> Counter[str]:
    """One regenerate() among two readers and two writers who have loaded the session too.

    In every other race those four go on only once the new token is out.
    """
    found: Counter[str] = Counter()
    before = rows(site)
    with site.crowd(5 * BATCH) as crowd:

        def judge(race: tuple[str, str, bool]) -> Counter[str]:
            old, new, quiet = race
            late = crowd.get("/set", old, intruder="x")
            seen = crowd.get("/read", new).json
            return Counter(
                {
                    "a second cookie": not quiet,
                    "data lost": seen["data"] != {"user": "someone", "a": "1", "b": "2"},
                    "logged out": seen["new"],
                    "old token opens": crowd.get("/read", old).json["data"] != {},
                    "old token gets a cookie": late.status != 200 or late.sets_cookie,
                }
            )

        for batch in range(races // BATCH):
            cookies = crowd.map(lambda _: crowd.get("/login", user="someone").cookie, range(BATCH))
            first = bool(batch % 2)
            gate = site.gate((4 if first else 5) * BATCH, held=first)
            flights = [
                [
                    crowd.start("/read", cookie, loaded=gate),
                    crowd.start("/set", cookie, loaded=gate, a="1"),
                    crowd.start("/read", cookie, loaded=gate),
                    crowd.start("/set", cookie, loaded=gate, b="2"),
                ]
                for cookie in cookies
            ]
            if first:
                gate.wait_until_full()
            at = None if first else gate
            rotations = [crowd.start("/regenerate", cookie, loaded=at) for cookie in cookies]
            rotated = [answer.cookie for answer in results(rotations)]
            gate.open()
            quiet = [
                all(answer.status == 200 and not answer.sets_cookie for answer in results(flight))
                for flight in flights
            ]
            for counter in crowd.map(judge, zip(cookies, rotated, quiet, strict=True)):
                found += counter
    found["rows too many"] = rows(site) - before - races
    return found


def wrong_renewals(site: Site, races: int = 100) -> Counter[str]:
    """Five requests come at once when the token is due for renewal: one renews it."""
    found: Counter[str] = Counter()
    begun = datetime.now(UTC)
    due = begun + RENEWAL
    with site.crowd(5 * BATCH) as crowd:

        def judge(race: tuple[str, list[str]]) -> Counter[str]:
            old, new = race
            in_grace = crowd.get("/set", old, now=due + GRACE - timedelta(seconds=1), late="x")
            kept = [crowd.get("/read", cookie, now=due + GRACE).json for cookie in new]
            # Only now: a new token that no request has presented may be a lost answer.
            after = crowd.get("/read", old, now=due + GRACE)
            data = {"user": "someone", "a": "1", "b": "2", "c": "3", "late": "x"}
            return Counter(
                {
                    "not one cookie": len(new) != 1,
                    "logged out": any(seen["new"] for seen in kept),
                    "data lost": any(seen["data"] != data for seen in kept),
                    "a cookie in the grace": in_grace.status != 200 or in_grace.sets_cookie,
                    "open after the grace": after.json["data"] != {},
                }
            )

        for _ in range(races // BATCH):
            begin = [crowd.start("/set", now=begun, user="someone") for _ in range(BATCH)]
            cookies = [answer.cookie for answer in results(begin)]
            gate = site.gate(5 * BATCH)
            flights = [
                [
                    crowd.start("/read", cookie, loaded=gate, now=due),
                    crowd.start("/set", cookie, loaded=gate, now=due, a="1"),
                    crowd.start("/set", cookie, loaded=gate, now=due, b="2"),
                    crowd.start("/set", cookie, loaded=gate, now=due, c="3"),
                    crowd.start("/touch", cookie, loaded=gate, now=due),
                ]
                for cookie in cookies
            ]
            answers = [results(flight) for flight in flights]
            new = [[a.cookie for a in flight if a.sets_cookie] for flight in answers]
            for counter in crowd.map(judge, zip(cookies, new, strict=True)):
                found += counter
    return found


@pytest.fixture(scope="module")
def renewing(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    url = postgres.create_database("renewing")
    with processes(directory, keeper, url, settings=RENEWING) as site:
        yield site


RENEWING = {
    "session.renewal_time": str(int(RENEWAL.total_seconds())),
    "session.renewal_grace": str(int(GRACE.total_seconds())),
}


class TestRegenerate:
    def test_a_thousand_rotations_leave_one_secret_each_and_lose_nothing(
        self, on_postgresql: Site
    ) -> None:
        assert wrong_rotations(on_postgresql) == Counter()

    def test_the_same_on_sqlite(self, on_sqlite: Site) -> None:
        assert wrong_rotations(on_sqlite, 2 * BATCH) == Counter()

    @pytest.mark.all
    def test_the_same_on_a_store_of_ones_own(self, on_lmdb: Site) -> None:
        assert wrong_rotations(on_lmdb, races=100) == Counter()

    def test_two_at_once_rotate_twice(self, on_postgresql: Site) -> None:
        with on_postgresql.crowd(2) as crowd:
            for _ in range(25):
                old = crowd.get("/login", user="someone").cookie
                before = crowd.get("/read", old).json
                gate = on_postgresql.gate(2)
                both = results([crowd.start("/regenerate", old, loaded=gate) for _ in range(2)])
                new = {answer.cookie for answer in both}
                assert len(new - {old}) == 2
                seen = [crowd.get("/read", cookie).json for cookie in (*new, old)]
                assert [one for one in seen if not one["new"]] == [before]
                assert [one["data"] for one in seen].count({}) == 2

    @pytest.mark.parametrize("path", ["/read", "/set", "/flash", "/touch", "/regenerate", "/end"])
    def test_whatever_comes_with_the_old_secret_is_told_nothing(
        self, on_postgresql: Site, path: str
    ) -> None:
        with on_postgresql.crowd(1) as crowd:
            old = crowd.get("/login", user="someone").cookie
            new = crowd.get("/regenerate", old).cookie
            before = rows(on_postgresql)
            answer = crowd.get(path, old, message="x")
            assert (answer.status, answer.sets_cookie) == (200, False)
            assert rows(on_postgresql) == before
            assert crowd.get("/read", new).json["data"] == {"user": "someone"}

    def test_the_absolute_limit_stays(self, on_postgresql: Site) -> None:
        begun = datetime.now(UTC)
        hour = timedelta(hours=1)
        with on_postgresql.crowd(1) as crowd:
            cookie = crowd.get("/login", now=begun, user="someone").cookie
            minutes = [timedelta(minutes=19 * step) for step in range(1, 12 * 60 // 19 + 1)]
            for age in minutes:
                cookie = crowd.get("/regenerate", cookie, now=begun + age).cookie
            last = begun + 12 * hour
            seen = crowd.get("/read", cookie, now=last - timedelta(microseconds=1)).json
            assert (seen["created"], seen["data"]) == (int(begun.timestamp()), {"user": "someone"})
            assert crowd.get("/read", cookie, now=last).json["new"]


class TestRenewalByTime:
    def test_one_of_the_requests_at_that_time_renews_it_and_no_other_is_hurt(
        self, renewing: Site
    ) -> None:
        assert wrong_renewals(renewing) == Counter()


class TestNaiveStores:
    def test_a_store_whose_save_writes_the_token_is_found(self, naive: Callable[..., Site]) -> None:
        found = wrong_rotations(naive("LastWriterWinsStore"), 2 * BATCH)
        assert found["old token opens"] > 0
        assert found["logged out"] > 0
        assert found["data lost"] > 0

    def test_a_store_without_a_lock_is_found(self, naive: Callable[..., Site]) -> None:
        found = wrong_renewals(naive("NoLockStore", settings=RENEWING), 2 * BATCH)
        assert found["not one cookie"] > 0
