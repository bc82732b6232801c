"""The races: the same requests, at the same moments, to each of the apps.

Overlap comes from `work`, the milliseconds that a handler takes after it has read the session.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep, time

import psycopg
from psycopg import sql

from benchmarks.browser import Answer, Browser

WORK = 30  # ms, of an ordinary request
SLOW = 240  # ms, of a request that something else overtakes
BATCH = 4  # visitors whose races run at the same time
LATENCY = 20  # ms, that a commit takes in the redirect race

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class App:
    """One app, running."""

    name: str
    port: int
    database: str
    """Its PostgreSQL database; empty if its sessions are elsewhere."""
    table: str
    saves_by_hand: bool

    def browser(self) -> Browser:
        return Browser(self.port)


class Crowd(ThreadPoolExecutor):
    """The threads from which browsers send requests."""

    def start(self, browser: Browser, path: str) -> "Future[Answer]":
        return self.submit(browser.get, path)

    def follow(self, browser: Browser, path: str) -> "Future[Answer]":
        return self.submit(browser.follow, path)

    def all(self, asked: Iterable[tuple[Browser, str]]) -> list[Answer]:
        futures = [self.start(browser, path) for browser, path in asked]
        return [future.result() for future in futures]


def lost_keys(app: App, rounds: int, parallel: int, progress: Progress) -> int:
    """Parallel requests of one visitor, each setting a key of its own: how many keys are gone."""
    visitor = app.browser()
    visitor.get("/set/first")
    expected = {"first"}
    with Crowd(parallel) as crowd:
        for number in range(rounds):
            keys = [f"k{number}x{each}" for each in range(parallel)]
            crowd.all((visitor, f"/set/{key}?work={WORK}") for key in keys)
            expected.update(keys)
            progress(number + 1, rounds)
    return len(expected - visitor.get("/me").json.keys())


def lost_visits(app: App, visits: int, progress: Progress) -> int:
    """Parallel page visits of one visitor: how many are not in the history."""
    visitor = app.browser()
    visitor.get("/set/first")
    with Crowd(visits) as crowd:
        crowd.all((visitor, f"/visit/{number}?work={WORK}") for number in range(visits))
    progress(visits, visits)
    history = visitor.get("/me").json.get("history", [])
    return visits - len(set(history))


def logged_in(app: App, crowd: Crowd, count: int) -> list[Browser]:
    """Visitors who have just logged in, by a page that waits until the login is stored."""
    visitors = [app.browser() for _ in range(count)]
    crowd.all((visitor, "/set/first") for visitor in visitors)
    crowd.all((visitor, "/login/someone?save=1") for visitor in visitors)
    return visitors


def counts(found: Counter[str], late: list[Answer], moment: float, races: int) -> bool:
    """Whether it was a race: all requests in flight had read the session before it happened."""
    valid = all(0 < answer.loaded < moment for answer in late)
    found["races" if valid else "repeated"] += 1
    if found["repeated"] > races + 10:
        raise RuntimeError("this machine is too busy: requests come too late for their races")
    return valid


def overtaken(
    app: App, path: str, slow: Sequence[str], races: int, found: Counter[str], progress: Progress
) -> Iterator[tuple[Browser, Browser, Answer, list[Answer]]]:
    """Let each visitor ask for `path` while requests for the `slow` paths are under way.

    Gives for each race the browser, a copy from before it, the answer, and those to `slow`.
    """
    with Crowd(BATCH * (len(slow) + 1)) as crowd:
        while found["races"] < races:
            visitors = logged_in(app, crowd, min(BATCH, races - found["races"]))
            before = [visitor.another() for visitor in visitors]
            flights = [
                [crowd.start(visitor, f"{each}?work={SLOW}") for each in slow]
                for visitor in visitors
            ]
            sleep(SLOW / 2000)
            moment = time()
            answers = crowd.all((visitor, path) for visitor in visitors)
            for visitor, old, answer, flight in zip(
                visitors, before, answers, flights, strict=True
            ):
                late = [future.result() for future in flight]
                if counts(found, late, moment, races):
                    yield visitor, old, answer, late
            progress(found["races"], races)


def logouts(app: App, races: int, progress: Progress) -> Counter[str]:
    """A logout while a slow reader, a slow writer and a slow touch of that visitor are at work."""
    found: Counter[str] = Counter()
    slow = ("/me", "/set/late", "/touch")
    for visitor, old, _, late in overtaken(app, "/logout", slow, races, found, progress):
        replayed = old.get("/me").json
        shown = visitor.get("/me").json
        found["alive"] += "user" in replayed or "user" in shown
        found["errors"] += sum(answer.status != 200 for answer in late)
    return found


def rotations(app: App, races: int, progress: Progress) -> Counter[str]:
    """A new session id while two slow readers and two slow writers of that visitor are at work."""
    found: Counter[str] = Counter()
    slow = ("/me", "/set/a", "/me", "/set/b")
    for visitor, old, rotated, late in overtaken(app, "/rotate", slow, races, found, progress):
        new = Browser(app.port, {**old.cookies, **rotated.cookies})
        found["logged out"] += "user" not in visitor.another().get("/me").json
        found["on the old id"] += visitor.cookies == old.cookies
        found["old id opens"] += "user" in old.get("/me").json
        found["data lost"] += not {"user", "first", "a", "b"} <= new.get("/me").json.keys()
        found["errors"] += sum(answer.status != 200 for answer in late)
    return found


def redirects(app: App, races: int, by_hand: bool, progress: Progress) -> int:
    """Logins that redirect, with slow commits: how often the next page knows of no login."""
    missed = 0
    target = "/login/someone?save=1" if by_hand else "/login/someone"
    with slow_commits(app), Crowd(BATCH) as crowd:
        for done in range(0, races, BATCH):
            visitors = [app.browser() for _ in range(min(BATCH, races - done))]
            crowd.all((visitor, "/set/first") for visitor in visitors)
            for future in [crowd.follow(visitor, target) for visitor in visitors]:
                missed += "user" not in future.result().json
            progress(min(done + BATCH, races), races)
    return missed


@contextmanager
def slow_commits(app: App) -> Iterator[None]:
    """Let each transaction that has written to the app's table take `LATENCY` to commit."""
    with psycopg.connect(app.database, autocommit=True) as connection:
        connection.execute(
            sql.SQL(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$"
            ).format(sql.Literal(LATENCY / 1000))
        )
        connection.execute(
            sql.SQL(
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON {} "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
            ).format(sql.Identifier(app.table))
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION slow CASCADE")
