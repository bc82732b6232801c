"""The races: the same requests, at the same moments, to each of the apps.

Overlap comes from `work`, the milliseconds that a handler takes after it has read the session.
Every race returns counts of what should not have happened, by the row of the table.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep, time

import psycopg
from psycopg import sql

from benchmarks.browser import Answer, Browser
from benchmarks.peers.stacks import Stack

PARALLEL = 20  # requests of one visitor, in the race for keys
VISITS = 100  # of one visitor at once
WORK = 30  # ms, of an ordinary request
SLOW = 240  # ms, of a request that something else overtakes
BATCH = 4  # visitors whose races run at the same time
LATENCY = 0.02  # seconds that a commit takes in the redirect race
Counts = dict[str, object]


@dataclass(frozen=True)
class Racer:
    """An app that is running, and how many races it is to lose."""

    stack: Stack
    port: int
    url: str
    """Of its sessions."""
    rounds: int
    """Of `PARALLEL` requests at once, in the race for keys."""
    races: int
    """Of each other kind."""


class Crowd(ThreadPoolExecutor):
    """Threads that browsers ask from."""

    def all(self, asked: Iterable[tuple[Browser, str]], *, follow: bool = False) -> list[Answer]:
        futures = [self.submit(browser.get, path, follow=follow) for browser, path in asked]
        return [future.result() for future in futures]


def keys(racer: Racer) -> Counts:
    """Parallel requests of one visitor, each setting a key of its own: how many keys are gone."""
    visitor = Browser(racer.port)
    visitor.get("/set/first")
    expected = {"first"}
    with Crowd(PARALLEL) as crowd:
        for number in range(racer.rounds):
            some = [f"k{number}x{each}" for each in range(PARALLEL)]
            crowd.all((visitor, f"/set/{key}?work={WORK}") for key in some)
            expected.update(some)
    lost = len(expected - visitor.get("/me").json.keys())
    return {f"keys lost, of {racer.rounds * PARALLEL} set in parallel": lost}


def visits(racer: Racer) -> Counts:
    """Parallel page visits of one visitor: how many are not in the history."""
    visitor = Browser(racer.port)
    visitor.get("/set/first")
    with Crowd(VISITS) as crowd:
        crowd.all((visitor, f"/visit/{number}?work={WORK}") for number in range(VISITS))
    history = visitor.get("/me").json.get("history", [])
    return {f"visits missing in the history, of {VISITS} at once": VISITS - len(set(history))}


def overtaken(
    racer: Racer, path: str, slow: Sequence[str]
) -> Iterator[tuple[Browser, Browser, Answer, int]]:
    """Let each visitor ask for `path` while requests for the `slow` paths are under way.

    Gives for each race the browser, a copy from before it, the answer, and the errors of `slow`.
    """
    done = repeated = 0
    with Crowd(BATCH * (len(slow) + 1)) as crowd:
        while done < racer.races:
            visitors = [Browser(racer.port) for _ in range(min(BATCH, racer.races - done))]
            for each in ("/set/first", "/login/someone?save=1"):  # which waits until it is stored
                crowd.all((visitor, each) for visitor in visitors)
            before = [visitor.at() for visitor in visitors]
            flights = [
                [crowd.submit(visitor.get, f"{each}?work={SLOW}") for each in slow]
                for visitor in visitors
            ]
            sleep(SLOW / 2000)
            moment = time()
            answers = crowd.all((visitor, path) for visitor in visitors)
            for visitor, old, answer, flight in zip(
                visitors, before, answers, flights, strict=True
            ):
                late = [future.result() for future in flight]
                # It was a race if all in flight had read the session before it happened.
                if all(0 < each.loaded < moment for each in late):
                    done += 1
                    yield visitor, old, answer, sum(each.status != 200 for each in late)
                else:
                    repeated += 1
            if repeated > racer.races + 10:
                raise RuntimeError("this machine is too busy: requests come too late to race")


def logouts(racer: Racer) -> Counts:
    """A logout while a slow reader, a slow writer and a slow touch of that visitor are at work."""
    alive = errors = 0
    for visitor, old, _, failed in overtaken(racer, "/logout", ("/me", "/set/late", "/touch")):
        alive += any("user" in each.get("/me").json for each in (old, visitor))
        errors += failed
    races = racer.races
    return {
        f"sessions alive after their logout, of {races}": alive,
        f"… requests in flight answered with an error, of {3 * races}": errors,
    }


def rotations(racer: Racer) -> Counts:
    """A new session id while two slow readers and two slow writers of that visitor are at work."""
    found: Counter[str] = Counter()
    slow = ("/me", "/set/a", "/me", "/set/b")
    for visitor, old, rotated, failed in overtaken(racer, "/rotate", slow):
        new = Browser(racer.port, {**old.cookies, **rotated.cookies})
        found["out"] += "user" not in visitor.at().get("/me").json
        found["back"] += visitor.cookies == old.cookies
        found["opens"] += "user" in old.get("/me").json
        found["lost"] += not {"user", "first", "a", "b"} <= new.get("/me").json.keys()
        found["errors"] += failed
    races = racer.races
    return {
        f"the old id opens the session after a rotation, of {races}": found["opens"],
        f"… the browser is back on the old id, of {races}": found["back"],
        f"… data lost, of {races}": found["lost"],
        f"… visitors logged out, of {races}": found["out"],
        f"… requests in flight answered with an error, of {4 * races}": found["errors"],
    }


def redirects(racer: Racer) -> Counts:
    """Logins that redirect, with slow commits: how often the next page knows of no login."""
    missed: dict[str, object] = {"": "not measured", "?save=1": "not needed"}
    if racer.stack.table:  # it takes a database whose commits can be slowed down
        missed[""] = missed_logins(racer, "")
    if racer.stack.key == "express":
        missed["?save=1"] = missed_logins(racer, "?save=1")
    return {
        f"“not logged in” right after the login's redirect, of {racer.races}": missed[""],
        "… with an explicit `save()` before the redirect": missed["?save=1"],
    }


def missed_logins(racer: Racer, query: str) -> int:
    missed = 0
    with slow_commits(racer), Crowd(BATCH) as crowd:
        for _ in range(0, racer.races, BATCH):
            visitors = [Browser(racer.port) for _ in range(BATCH)]
            crowd.all((visitor, "/set/first") for visitor in visitors)
            asked = [(visitor, f"/login/someone{query}") for visitor in visitors]
            missed += sum("user" not in each.json for each in crowd.all(asked, follow=True))
    return missed


RACES = (keys, visits, logouts, rotations, redirects)


@contextmanager
def slow_commits(racer: Racer) -> Iterator[None]:
    """Let each transaction that has written to the app's table take `LATENCY` to commit."""
    url = racer.url.replace("+psycopg", "")
    function = (
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$"
    )
    trigger = (
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON {} "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(function).format(sql.Literal(LATENCY)))
        connection.execute(sql.SQL(trigger).format(sql.Identifier(racer.stack.table)))
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION slow CASCADE")
