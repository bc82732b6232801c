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
from tests.races.rotations import (
    BATCH,
    RENEWING,
    rows,
    wrong_renewals,
    wrong_rotations,
)


@pytest.fixture(scope="module")
def renewing(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    url = postgres.create_database("renewing")
    with processes(directory, keeper, url, settings=RENEWING) as site:
        yield site


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
