"""All races on Valkey or Redis, and what a request costs there."""

from collections import Counter

import pytest

from tests.harness.redis import Redis
from tests.races.clients import Site
from tests.races.test_durability import misses
from tests.races.test_endings import revivals, revivals_in_a_draw
from tests.races.test_rotation import wrong_rotations
from tests.races.test_updates import lost_increments, lost_keys, lost_messages, wrongly_popped


def wrongs(site: Site, share: float = 1.0) -> dict[str, object]:
    """What goes wrong in all races; `share`: of the rounds that each has by itself."""

    def of(rounds: int) -> int:
        return max(2, int(share * rounds))

    found = {
        "keys": lost_keys(site, rounds=of(20)),
        "messages": lost_messages(site, rounds=of(10)),
        "popped": wrongly_popped(site, rounds=of(20)),
        "increments": lost_increments(site, clients=of(50)),
        "misses": misses(site, logins=of(1000)),
        "revivals": revivals(site, races=of(10) * 100),
        "in a draw": revivals_in_a_draw(site, races=of(200)),
        "rotations": wrong_rotations(site, races=of(10) * 100),
    }
    return {name: wrong for name, wrong in found.items() if wrong not in (0, Counter())}


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
