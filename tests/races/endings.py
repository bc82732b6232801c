"""What may come back, or be harmed, when a session ends among parallel requests."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sessionsite.sessions.store import Record
from tests.races.clients import Answer, Crowd, Site, results
from tests.races.gates import Gate

BATCH = 25

WAYS = ("log out", "expire", "revoke")


def alive(site: Site) -> int:
    """How many sessions there are that have not expired."""
    return int(site.store.counts(datetime.now(UTC)).live)


def end(site: Site, crowd: Crowd, visitor: tuple[str, str], way: str) -> None:
    cookie, id_ = visitor
    if way == "revoke":
        site.store.delete(id_)
    elif way == "expire":
        now = datetime.now(UTC)

        def expire(newest: Record) -> Record:
            return replace(newest, expires_at=now - timedelta(seconds=1))

        site.store.update(id_, now, expire)
    else:
        assert crowd.get("/end", cookie).cookie == ""


def begin(crowd: Crowd, count: int) -> list[tuple[str, str]]:
    """Cookie and id of `count` visitors who are logged in."""

    def one(number: int) -> tuple[str, str]:
        cookie = crowd.get("/login", user=f"user-{number}").cookie
        return cookie, crowd.get("/read", cookie).json["id"]

    return crowd.map(one, range(count))


def in_flight(crowd: Crowd, cookie: str, gate: Gate) -> list[Future[Answer]]:
    """A reader, a writer and a touch, who wait at `gate` when they have loaded the session."""
    return [
        crowd.start("/read", cookie, loaded=gate),
        crowd.start("/set", cookie, loaded=gate, written="x"),
        crowd.start("/touch", cookie, loaded=gate),
    ]


def unharmed(number: int, reader: Answer, writer: Answer, toucher: Answer) -> bool:
    """Whether three requests in flight got the answers that they would have had anyhow."""
    data: dict[str, Any] = {"user": f"user-{number}"}
    return (
        all(answer.status == 200 and not answer.sets_cookie for answer in (reader, writer, toucher))
        and (reader.json["data"], reader.json["new"]) == (data, False)
        and writer.json == {"set": {"written": "x"}}
        and toucher.json == {"data": data}
    )


def revivals(site: Site, races: int = 1000) -> Counter[str]:
    """A reader, a writer and a touch have loaded each session, and go on after it has ended."""
    found: Counter[str] = Counter()
    before = alive(site)
    with site.crowd(3 * BATCH) as crowd:
        for batch in range(races // BATCH):
            visitors = begin(crowd, BATCH)
            gate = site.gate(3 * BATCH, held=True)
            flights = [in_flight(crowd, cookie, gate) for cookie, _ in visitors]
            gate.wait_until_full()
            for number, visitor in enumerate(visitors):
                end(site, crowd, visitor, WAYS[(batch + number) % len(WAYS)])
            gate.open()
            for number, futures in enumerate(flights):
                found["harmed"] += not unharmed(number, *results(futures))
    found["revived"] = alive(site) - before
    return found


def revivals_in_a_draw(site: Site, races: int = 200) -> Counter[str]:
    """The logout and the three others go on at the same moment: any of them may be first."""
    found: Counter[str] = Counter()
    before = alive(site)
    with site.crowd(4 * BATCH) as crowd:
        for _ in range(races // BATCH):
            visitors = begin(crowd, BATCH)
            gate = site.gate(4 * BATCH)
            flights = [
                [*in_flight(crowd, cookie, gate), crowd.start("/end", cookie, loaded=gate)]
                for cookie, _ in visitors
            ]
            for number, futures in enumerate(flights):
                *others, ended = results(futures)
                found["harmed"] += not unharmed(number, *others)
                found["not ended"] += ended.cookie != ""
    found["revived"] = alive(site) - before
    return found
