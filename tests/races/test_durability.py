"""What a response says has been stored before it is sent: the next request finds it, anywhere."""

from collections.abc import Callable

import pytest

from tests.races.clients import Site

CLIENTS = 50
LATENCY = 0.02


def misses(site: Site, logins: int = 1000) -> int:
    """Logins whose redirect, followed at once, is not logged in.

    Every other visitor has a session already, whose token the login replaces. The processes
    take turns, so that with two of them the one that is asked is not the one that stored it.
    """
    with site.crowd(CLIENTS) as crowd:

        def log_in(number: int) -> bool:
            user = f"user-{number}"
            old = crowd.get("/set", latency=LATENCY, first="x").cookie if number % 2 else ""
            answer = crowd.get("/login", old, latency=LATENCY, user=user)
            assert (answer.status, answer.headers["Location"][-5:]) == (303, "/read")
            data: dict[str, str] = crowd.get("/read", answer.cookie).json["data"]
            return data != ({"first": "x"} if old else {}) | {"user": user}

        return sum(crowd.map(log_in, range(logins)))


def test_a_thousand_redirects_after_a_login_find_it(on_postgresql: Site) -> None:
    assert misses(on_postgresql) == 0


def test_the_same_on_sqlite(on_sqlite: Site) -> None:
    assert misses(on_sqlite, 50) == 0


@pytest.mark.all
def test_the_same_on_a_store_of_ones_own(on_lmdb: Site) -> None:
    assert misses(on_lmdb, logins=100) == 0


def test_a_store_that_writes_behind_is_found(naive: Callable[..., Site]) -> None:
    assert misses(naive("WriteBehindStore"), 100) > 0
