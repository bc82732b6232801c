"""Lost answers among requests in flight: nobody is locked out, and nothing is taken for theft."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Answer, Crowd, Site, results
from tests.races.gates import GateKeeper
from tests.races.processes import processes

BATCH = 20
RENEWAL, GRACE = timedelta(seconds=600), timedelta(seconds=30)
SECOND = timedelta(seconds=1)
SETTINGS = {
    "session.on_reuse": "end",
    "session.renewal_time": str(int(RENEWAL.total_seconds())),
    "session.renewal_grace": str(int(GRACE.total_seconds())),
}
# The request whose answer has another cookie.
ACTIONS = {
    "first visit": "/set",
    "login": "/login",
    "login, renewal due": "/login",
    "logout": "/end",
    "renewal": "/read",
}
BESIDE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/read", {}),
    ("/set", {"a": "1"}),
    ("/touch", {}),
    ("/set", {"b": "2"}),
)


@dataclass(frozen=True)
class Plan:
    """What the races of one batch do.

    `losses`: how many answers in a row get lost. `ahead`: four other requests have loaded the
    session, and go on once the action has been answered; otherwise all five go on at once. `pause`:
    how long the browser waits for an answer before it tries again: less than the grace, or more.
    """

    action: str
    losses: int
    ahead: bool
    pause: timedelta

    @property
    def age(self) -> timedelta:
        """The session's, when the action comes."""
        return RENEWAL if "renewal" in self.action else 10 * SECOND

    @property
    def grace(self) -> timedelta:
        return GRACE if self.action == "renewal" else timedelta(seconds=60)


PLANS = [
    Plan(action, losses, ahead, pause)
    for action, (losses, pause), ahead in itertools.product(
        ACTIONS,
        [(0, SECOND), *itertools.product((1, 2), (SECOND, 100 * SECOND))],
        (True, False),
    )
]


@dataclass
class Browser:
    """A cookie; `old`: the one that it had before the action."""

    user: str
    cookie: str
    old: str
    found: Counter[str]

    def take(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self.found["refused"] += answer.status not in (200, 303)
            if answer.sets_cookie:
                self.cookie = answer.cookie


def begin(crowd: Crowd, plan: Plan, now: datetime) -> list[Browser]:
    def one(number: int) -> Browser:
        user = f"user-{number}"
        new = plan.action == "first visit"
        cookie = "" if new else crowd.get("/set", now=now, name=user).cookie
        return Browser(user, cookie, cookie, Counter())

    return crowd.map(one, range(BATCH))


def act(site: Site, crowd: Crowd, plan: Plan, browsers: Sequence[Browser], now: datetime) -> None:
    """Each browser sends its five requests; their answers arrive, or get lost."""
    known = plan.action != "first visit"  # a request without a cookie loads nothing
    gate = site.gate((4 if plan.ahead else 5) * BATCH, held=plan.ahead) if known else None
    flights = [
        [crowd.start(path, each.cookie, loaded=gate, now=now, **query) for path, query in BESIDE]
        for each in browsers
    ]
    if gate and plan.ahead:
        gate.wait_until_full()
    at = None if plan.ahead else gate
    path = ACTIONS[plan.action]
    acts = results(
        [crowd.start(path, each.cookie, loaded=at, now=now, user=each.user) for each in browsers]
    )
    if gate:
        gate.open()
    for each, flight, answer in zip(browsers, map(results, flights), acts, strict=True):
        others = sum(other.sets_cookie for other in flight)
        each.found["not one new token"] += plan.action == "renewal" and (
            others + answer.sets_cookie != 1
        )
        each.found["a cookie beside it"] += plan.action in ("login", "logout") and others > 0
        if not plan.losses:
            each.take([*flight, answer])


def try_again(crowd: Crowd, plan: Plan, browser: Browser, now: datetime) -> datetime:
    """The action once more per loss, with the old cookie, which two reads in flight have too."""
    for left in reversed(range(plan.losses)):
        now += plan.pause
        reads = [crowd.start("/read", browser.cookie, now=now) for _ in range(2)]
        path = ACTIONS[plan.action]
        answer = crowd.get(path, browser.cookie, now=now, user=browser.user)
        answers = [*results(reads), answer]
        if not left:
            browser.take(answers)
    return now


def judge(crowd: Crowd, plan: Plan, browser: Browser, now: datetime) -> None:
    """What the browser has in the end, and what late requests with the old cookie do to it."""
    found = browser.found
    if plan.action == "logout":
        seen = crowd.get("/read", browser.cookie, now=now).json
        found["not logged out"] += seen["data"] != {}
        browser.take([crowd.get("/set", browser.cookie, now=now, user=browser.user)])
    kept = {"name": browser.user} if plan.action == "renewal" else {"user": browser.user}
    for moment in (now + SECOND, now + plan.grace - SECOND):
        seen = crowd.get("/read", browser.cookie, now=moment).json
        found["locked out"] += seen["new"]
        found["data lost"] += not kept.items() <= seen["data"].items()
        # After a logout, and after a grace, it begins another session, which is not this one.
        if browser.cookie != browser.old and plan.action != "logout" and not plan.losses:
            late = browser.old and crowd.get("/set", browser.old, now=moment, late="x")
            found["late, and given a cookie"] += bool(late and late.sets_cookie)


def wrong_losses(site: Site, plans: Sequence[Plan]) -> Counter[str]:
    """`BATCH` races by each plan."""
    found: Counter[str] = Counter()
    before = site.alarms()
    with site.crowd(5 * BATCH) as crowd, site.crowd(BATCH) as judges:
        for plan in plans:
            begun = datetime.now(UTC)
            browsers = begin(crowd, plan, begun)
            act(site, crowd, plan, browsers, begun + plan.age)

            def end(browser: Browser, plan: Plan = plan, at: datetime = begun + plan.age) -> None:
                judge(judges, plan, browser, try_again(crowd, plan, browser, at))

            judges.map(end, browsers)
            for browser in browsers:
                found += browser.found
    found["alarms"] = site.alarms() - before
    return found


@pytest.fixture(scope="module")
def watching(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    """Two processes that end a session whose token comes back."""
    url = postgres.create_database("watching")
    with processes(directory, keeper, url, settings=SETTINGS) as site:
        yield site


@pytest.fixture(scope="module")
def watching_on_sqlite(directory: Path, keeper: GateKeeper) -> Iterator[Site]:
    url = f"sqlite:///{directory}/watching.db"
    with processes(directory, keeper, url, settings=SETTINGS) as site:
        yield site


def test_cs_strict_a_thousand_losses_are_no_theft_and_lock_nobody_out(watching: Site) -> None:
    assert len(PLANS) * BATCH == 1000
    assert wrong_losses(watching, PLANS) == Counter()


@pytest.mark.servers
def test_cs_strict_nor_on_sqlite(watching_on_sqlite: Site) -> None:
    assert wrong_losses(watching_on_sqlite, PLANS[3::10]) == Counter()


@pytest.mark.parametrize("store", ["ConfirmedStore", "GracelessStore", "ForgetfulStore"])
def test_a_store_that_makes_a_loss_a_theft_is_found(naive: Callable[..., Site], store: str) -> None:
    plans = [plan for plan in PLANS if plan.action in ("login", "renewal") and plan.ahead]
    found = wrong_losses(naive(store, settings=SETTINGS), plans)
    assert {"alarms", "data lost", "locked out"} <= set(+found)
