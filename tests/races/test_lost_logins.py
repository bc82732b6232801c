"""The documented login with CSRF checks, on real processes whose answers get lost."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.postgres import Postgres
from tests.races.clients import Answer, Crowd, Site, results
from tests.races.gates import GateKeeper
from tests.races.processes import processes

BATCH = 20
SETTINGS = {
    "session.on_reuse": "end",
    "session.renewal_time": "600",
    "session.renewal_grace": "30",
}
LOST = {
    "first visit": (("GET", "/"),),
    "login": (("POST", "/login"),),
    "login, twice": (("POST", "/login"), ("POST", "/login")),
    "logout": (("POST", "/logout"),),
    "logout, twice": (("POST", "/logout"), ("POST", "/logout")),
    "renewal": (("GET", "/"),),
}


@pytest.fixture(scope="module")
def on_postgres(directory: Path, keeper: GateKeeper, postgres: Postgres) -> Iterator[Site]:
    url = postgres.create_database("accounts")
    with processes(directory, keeper, url, "accounts", settings=SETTINGS) as site:
        yield site


@pytest.fixture(scope="module")
def on_a_file(directory: Path, keeper: GateKeeper) -> Iterator[Site]:
    url = f"sqlite:///{directory}/accounts.db"
    with processes(directory, keeper, url, "accounts", settings=SETTINGS) as site:
        yield site


class Browser:
    """A cookie, and the form that the page shows."""

    def __init__(self, crowd: Crowd, now: datetime) -> None:
        self.crowd = crowd
        self.now = now
        self.cookie = self.token = ""

    def ask(self, path: str, **options: Any) -> Answer:
        return self.crowd.get(path, self.cookie, now=self.now, **options)

    def take(self, answer: Answer) -> Answer:
        if answer.sets_cookie:
            self.cookie = answer.cookie
        return answer

    def show(self) -> None:
        self.token = self.take(self.ask("/", page="form")).json["token"]

    def send(self, method: str, path: str) -> Answer:
        return self.ask(path, form={"csrf_token": self.token} if method == "POST" else None)

    def user(self) -> Any:
        return self.take(self.ask("/")).json["user"]


def wrong(site: Site, what: str, *, anew: bool, pause: int) -> Counter[str]:
    """What goes wrong for `BATCH` browsers at once that lose answers, and then log in.

    `anew`: they fetch the form anew. `pause`: how many seconds pass before the next try.
    """
    found: Counter[str] = Counter()
    begun = datetime.now(UTC)
    before = site.alarms()
    with site.crowd(BATCH) as crowd:

        def one(_: int) -> Counter[str]:
            browser = Browser(crowd, begun)
            found: Counter[str] = Counter()
            if what != "first visit":
                browser.show()
            if what.startswith("logout") or what == "renewal":
                found["no login"] += browser.take(browser.send("POST", "/login")).status != 303
                browser.show()
            if what == "renewal":
                browser.now += timedelta(seconds=600)
            for method, path in LOST[what]:  # nobody takes these answers
                answer = browser.send(method, path)
                found[f"{method} {path} {answer.status}"] += answer.status not in (200, 303)
                found["no new cookie"] += not path.startswith("/logout") and (
                    what != "first visit" and not answer.sets_cookie
                )
            browser.now += timedelta(seconds=pause)
            if anew or what == "first visit":
                browser.show()
            found["old opens"] += what != "renewal" and browser.user() is not None
            answer = browser.take(browser.send("POST", "/login"))
            found[f"next try {answer.status}"] += answer.status != 303
            found["locked out"] += browser.user() != "anna"
            return found

        for counter in crowd.map(one, range(BATCH)):
            found += counter
    found["alarms"] = site.alarms() - before
    return found


def wrong_double_clicks(site: Site) -> Counter[str]:
    """Two clicks at once have both loaded the session; the browser keeps either answer."""
    found: Counter[str] = Counter()
    now = datetime.now(UTC)
    with site.crowd(2 * BATCH) as crowd:
        browsers = [Browser(crowd, now) for _ in range(BATCH)]
        for browser in browsers:
            browser.show()
        gate = site.gate(2 * BATCH)
        clicks = [
            [
                crowd.start(
                    "/login", each.cookie, loaded=gate, now=now, form={"csrf_token": each.token}
                )
                for _ in range(2)
            ]
            for each in browsers
        ]
        answers = [results(both) for both in clicks]
        for browser, both in zip(browsers, answers, strict=True):
            found["refused"] += any(answer.status != 303 for answer in both)
            logged_in = 0
            for answer in both:
                browser.cookie = answer.cookie
                logged_in += browser.user() == "anna"
            found["not one of them logged in"] += logged_in != 1
            for answer in both:
                browser.cookie = answer.cookie
                browser.show()
                browser.take(browser.send("POST", "/login"))
                found["locked out"] += browser.user() != "anna"
    return found


@pytest.mark.parametrize("pause", [1, 100])
@pytest.mark.parametrize("anew", [False, True], ids=["same-form", "form-anew"])
@pytest.mark.parametrize("what", LOST)
class TestLostAnswers:
    def test_the_next_try_logs_in(
        self, on_postgres: Site, what: str, anew: bool, pause: int
    ) -> None:
        assert wrong(on_postgres, what, anew=anew, pause=pause) == Counter()

    @pytest.mark.servers
    def test_on_sqlite_too(self, on_a_file: Site, what: str, anew: bool, pause: int) -> None:
        assert wrong(on_a_file, what, anew=anew, pause=pause) == Counter()


def test_either_of_two_clicks_logs_in(on_postgres: Site) -> None:
    assert wrong_double_clicks(on_postgres) == Counter()


@pytest.mark.servers
def test_either_of_two_clicks_logs_in_on_sqlite(on_a_file: Site) -> None:
    assert wrong_double_clicks(on_a_file) == Counter()
