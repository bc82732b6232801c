"""A copied token beside its owner, on two processes: at which request the theft is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Crowd, Site, results
from tests.races.gates import GateKeeper
from tests.races.processes import processes

RENEWAL, GRACE, MINUTE = 600, 30, 60
ENDING = {
    "session.on_reuse": "end",
    "session.renewal_time": str(RENEWAL),
    "session.renewal_grace": str(GRACE),
}


@dataclass
class Client:
    """Owner or thief: keeps the cookie that it is given."""

    crowd: Crowd
    cookie: str
    begun: datetime

    def visit(self, second: int, path: str = "/read", **query: Any) -> bool:
        """Ask; return whether the session has the owner's data. `second`: since the beginning."""
        now = self.begun + timedelta(seconds=second)
        answer = self.crowd.get(path, self.cookie, now=now, **query)
        if answer.sets_cookie:
            self.cookie = answer.cookie
        return path == "/read" and answer.json["data"].get("name") == "owner"


@pytest.fixture(scope="module")
def ending(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    with processes(directory, keeper, postgres.create_database("ending"), settings=ENDING) as site:
        yield site


@pytest.fixture
def crowd(ending: Site) -> Iterator[Crowd]:
    with ending.crowd(4) as crowd:
        yield crowd


@pytest.fixture
def owner(crowd: Crowd) -> Client:
    begun = datetime.now(UTC)
    return Client(crowd, crowd.get("/set", now=begun, name="owner").cookie, begun)


@pytest.fixture
def thief(owner: Client) -> Client:
    return Client(owner.crowd, owner.cookie, owner.begun)


class Watch:
    """The alarms since it was made."""

    def __init__(self, site: Site) -> None:
        self._site, self._before = site, site.alarms()

    @property
    def alarms(self) -> int:
        return self._site.alarms() - self._before


@pytest.fixture
def watch(ending: Site) -> Watch:
    return Watch(ending)


def test_cs_strict_a_thief_who_renews_is_seen_when_the_owner_comes_next(
    owner: Client, thief: Client, watch: Watch
) -> None:
    assert thief.visit(RENEWAL)
    assert thief.visit(RENEWAL + 1)
    assert watch.alarms == 0
    assert not owner.visit(RENEWAL + GRACE)
    assert watch.alarms == 1
    assert not thief.visit(RENEWAL + GRACE + 1)


def test_cs_strict_a_thief_is_seen_when_he_comes_after_the_owners_renewal(
    owner: Client, thief: Client, watch: Watch
) -> None:
    assert owner.visit(RENEWAL)
    assert owner.visit(RENEWAL + 1)
    assert thief.visit(RENEWAL + GRACE - 1)  # as a late request would
    assert watch.alarms == 0
    assert not thief.visit(RENEWAL + GRACE)
    assert watch.alarms == 1
    assert not owner.visit(RENEWAL + GRACE + 1)


def test_cs_strict_a_thief_who_passes_for_a_lost_answer_is_seen_when_the_owner_comes_next(
    owner: Client, thief: Client, watch: Watch
) -> None:
    assert owner.visit(RENEWAL)
    assert thief.visit(RENEWAL + GRACE)  # the owner has not presented the new token
    assert watch.alarms == 0
    assert not owner.visit(RENEWAL + 2 * GRACE)
    assert watch.alarms == 1
    assert not thief.visit(RENEWAL + 2 * GRACE + 1)


def test_cs_strict_a_thief_whose_renewal_passes_for_a_lost_answer_is_seen_when_he_comes_next(
    owner: Client, thief: Client, watch: Watch
) -> None:
    assert thief.visit(RENEWAL)
    assert owner.visit(RENEWAL + GRACE)
    assert watch.alarms == 0
    assert not thief.visit(RENEWAL + 2 * GRACE)
    assert watch.alarms == 1
    assert not owner.visit(RENEWAL + 2 * GRACE + 1)


def test_cs_strict_a_thief_of_a_token_from_before_a_login_is_seen_after_a_minute(
    owner: Client, thief: Client, watch: Watch
) -> None:
    owner.visit(1, "/login", user="owner")
    assert owner.visit(2)
    assert not thief.visit(MINUTE)
    assert watch.alarms == 0
    assert not thief.visit(MINUTE + 1)
    assert watch.alarms == 1


def test_cs_strict_both_at_once_when_the_token_is_due_are_seen_after_the_grace(
    ending: Site, owner: Client, thief: Client, crowd: Crowd, watch: Watch
) -> None:
    due = owner.begun + timedelta(seconds=RENEWAL)
    gate = ending.gate(4)
    both = results([crowd.start("/read", owner.cookie, loaded=gate, now=due) for _ in range(4)])
    (new,) = [answer.cookie for answer in both if answer.sets_cookie]
    owner.cookie = new  # whoever of the two it was
    assert owner.visit(RENEWAL + 1)
    assert thief.visit(RENEWAL + 1)
    assert watch.alarms == 0
    assert not thief.visit(RENEWAL + GRACE)
    assert watch.alarms == 1
