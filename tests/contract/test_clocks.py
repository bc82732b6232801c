"""Hosts whose clocks differ: one visitor, served by one and by the other.

docs/deployment.md, "Many front machines", says up to which difference nobody notices, and what
comes beyond it. Both halves are held here.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from sessionsite.sessions.pruner import prune_all
from tests.contract.kit import Kit, begin, data_of, stored, version
from tests.harness.visitor import Clock, Visitor

# A store only compares with the time that it is given: the contract holds that, for each.
pytestmark = pytest.mark.parametrize("kit", ["memory"], indirect=True)

TOLERATED = 30  # seconds
WINDOW = 60  # seconds in which a replaced token is no theft: ROTATION_WINDOW, and renewal_grace
DAY = {"timeout": "1200", "lifetime": "43200", "renewal_time": "600", "on_reuse": "end"}


class Ahead(Clock):
    """A clock so many seconds ahead of `clock`; less than 0: behind it."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._ahead = clock, timedelta(seconds=seconds)

    def __call__(self) -> datetime:
        return self._clock.now + self._ahead


@pytest.fixture
def elsewhere(kit: Kit) -> Callable[[float, Visitor], Visitor]:
    """The same visitor at another host, whose clock is so many seconds ahead."""

    def make(seconds: float, visitor: Visitor) -> Visitor:
        other = Kit(kit.kind, Ahead(kit.clock, seconds), kit.store).visitor(**DAY)
        other.cookies = visitor.cookies
        return other

    return make


Elsewhere = Callable[[float, Visitor], Visitor]


def alarms(caplog: pytest.LogCaptureFixture) -> int:
    return sum("may be stolen" in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize("seconds", [TOLERATED, -TOLERATED])
def test_a_visitor_who_goes_from_host_to_host_keeps_session_and_data_all_day(
    kit: Kit, elsewhere: Elsewhere, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    here = begin(kit, {"visits": []}, **DAY)
    there = elsewhere(seconds, here)
    (id_,) = {row.id for row in [stored(kit, here)] if row}
    for number in range(80):
        kit.clock.move(500)  # 11 hours in all
        for visitor in (here, there)[:: (1, -1)[number % 2]]:
            with visitor.request() as session:
                assert session.id == id_
                session["visits"].append(number)
    assert data_of(here)["visits"] == [number for number in range(80) for _ in range(2)]
    assert alarms(caplog) == 0


@pytest.mark.parametrize("seconds", [TOLERATED, -TOLERATED])
@pytest.mark.parametrize("rotation", ["renewal", "regenerate"])
def test_a_request_under_way_while_another_host_gives_a_new_token_is_no_theft(
    kit: Kit, elsewhere: Elsewhere, seconds: int, rotation: str, caplog: pytest.LogCaptureFixture
) -> None:
    here = begin(kit, None, **DAY)
    late = elsewhere(seconds, Visitor(here.factory, **here.cookies))
    kit.clock.move(650 if rotation == "renewal" else 60)
    with here.request() as session:
        if rotation == "regenerate":
            session.regenerate()
    data_of(here)  # the new token has arrived
    kit.clock.move(WINDOW - TOLERATED - 1)
    with late.request():
        pass
    assert late.set_cookie == []
    assert alarms(caplog) == 0
    assert data_of(here) == {"a": 1}


def test_a_host_a_minute_ahead_takes_a_late_request_for_a_theft(
    kit: Kit, elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond what is tolerated: with `on_reuse = end` the login that has just been is over."""
    here = begin(kit, None, **DAY)
    late = elsewhere(WINDOW, Visitor(here.factory, **here.cookies))
    with here.request() as session:
        session.regenerate()
    data_of(here)
    with late.request():
        pass
    assert alarms(caplog) == 1
    assert data_of(here) == {}


EARLIER = pytest.mark.parametrize(("before", "data"), [(1, {"a": 1}), (0, {})])


@EARLIER
def test_an_idle_session_ends_earlier_by_what_a_host_is_ahead(
    kit: Kit, elsewhere: Elsewhere, before: int, data: dict[str, int]
) -> None:
    visitor = begin(kit, None, **DAY)
    kit.clock.move(1200 - TOLERATED - before)
    assert data_of(elsewhere(TOLERATED, visitor)) == data


@EARLIER
def test_so_does_a_busy_one_at_the_end_of_its_lifetime(
    kit: Kit, elsewhere: Elsewhere, before: int, data: dict[str, int]
) -> None:
    visitor = begin(kit, None, **DAY)
    for _ in range(43200 // 600 - 1):
        kit.clock.move(600)
        assert data_of(visitor) == {"a": 1}
    kit.clock.move(600 - TOLERATED - before)
    assert data_of(elsewhere(TOLERATED, visitor)) == data
    assert data_of(elsewhere(-TOLERATED, visitor)) == data_of(visitor) == {"a": 1}


@EARLIER
def test_the_pruner_of_a_host_that_is_ahead_deletes_what_is_over_there(
    kit: Kit, before: int, data: dict[str, int]
) -> None:
    visitor = begin(kit, None, **DAY)
    kit.clock.move(1200 - TOLERATED - before)
    ahead = kit.clock.now + timedelta(seconds=TOLERATED)
    assert list(prune_all(kit.store, ahead)) == ([] if data else [1])
    assert data_of(visitor) == data


def test_up_to_reissue_time_a_change_of_host_writes_no_end_and_beyond_it_does(
    kit: Kit, elsewhere: Elsewhere
) -> None:
    here = begin(kit, None, **DAY)
    for seconds, writes in ((TOLERATED, 0), (120, 6)):
        data_of(here)
        there = elsewhere(seconds, here)
        before = version(kit, here)
        for _ in range(3):
            data_of(there)
            data_of(here)
        assert version(kit, here) - before == writes


def test_a_host_as_far_ahead_as_the_time_out_begins_a_session_at_each_visit(
    kit: Kit, elsewhere: Elsewhere
) -> None:
    here = begin(kit, None, **DAY)
    there = elsewhere(1200, here)
    assert data_of(there) == {}
    kit.clock.move(1)
    with there.request() as session:
        session["a"] = 2
    assert data_of(here) == {"a": 2}  # the one behind opens what the other began
    kit.clock.move(1)
    data_of(here)
    assert data_of(there) == {}
