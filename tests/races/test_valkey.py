"""All races on Valkey or Redis, and what a request costs there."""

from collections import Counter

import pytest

from tests.harness.redis import Redis
from tests.races.clients import Site
from tests.races.endings import revivals
from tests.races.every import wrongs
from tests.races.updates import lost_increments, lost_keys


@pytest.mark.all
def test_no_race_is_lost(on_valkey: Site) -> None:
    assert wrongs(on_valkey) == {}


def test_no_update_is_lost_and_no_session_revived(on_valkey: Site) -> None:
    assert lost_keys(on_valkey, rounds=3) == 0
    assert lost_increments(on_valkey, clients=10) == 0
    assert revivals(on_valkey, races=100) == Counter()


def test_a_request_costs_two_round_trips_at_most(on_valkey: Site, redis: Redis) -> None:
    with on_valkey.crowd(1) as crowd:
        cookie = crowd.get("/set", first="x").cookie
        for path, mine, expected in (
            ("/untouched", cookie, []),
            ("/read", "", []),
            ("/read", cookie, ["GET"]),
            ("/set", "", ["EVALSHA"]),
            ("/set", cookie, ["GET", "EVALSHA"]),
            ("/touch", cookie, ["GET", "EVALSHA"]),
        ):
            for number in range(4):  # each process knows the scripts, and has a connection
                crowd.get(path, mine, number=number)
            with redis.commands() as commands:
                assert crowd.get(path, mine, number=9).status == 200
            assert commands == expected, path
