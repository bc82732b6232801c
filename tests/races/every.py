"""All races, one after the other."""

from collections import Counter

from tests.races.clients import Site
from tests.races.endings import revivals, revivals_in_a_draw
from tests.races.logins import misses
from tests.races.rotations import wrong_rotations
from tests.races.updates import lost_increments, lost_keys, lost_messages, wrongly_popped


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
