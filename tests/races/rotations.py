"""What may go wrong when a token is replaced among parallel requests."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.races.clients import Site, results

BATCH = 20

RENEWAL, GRACE = timedelta(seconds=600), timedelta(seconds=30)


def rows(site: Site) -> int:
    counts = site.store.counts(datetime.now(UTC))
    return int(counts.live + counts.expired)


def wrong_rotations(site: Site, races: int = 1000) -> Counter[str]:
    """One regenerate() among two readers and two writers who have loaded the session too.

    In every other race those four go on only once the new token is out.
    """
    found: Counter[str] = Counter()
    before = rows(site)
    with site.crowd(5 * BATCH) as crowd:

        def judge(race: tuple[str, str, bool]) -> Counter[str]:
            old, new, quiet = race
            late = crowd.get("/set", old, intruder="x")
            seen = crowd.get("/read", new).json
            return Counter(
                {
                    "a second cookie": not quiet,
                    "data lost": seen["data"] != {"user": "someone", "a": "1", "b": "2"},
                    "logged out": seen["new"],
                    "old token opens": crowd.get("/read", old).json["data"] != {},
                    "old token gets a cookie": late.status != 200 or late.sets_cookie,
                }
            )

        for batch in range(races // BATCH):
            cookies = crowd.map(lambda _: crowd.get("/login", user="someone").cookie, range(BATCH))
            first = bool(batch % 2)
            gate = site.gate((4 if first else 5) * BATCH, held=first)
            flights = [
                [
                    crowd.start("/read", cookie, loaded=gate),
                    crowd.start("/set", cookie, loaded=gate, a="1"),
                    crowd.start("/read", cookie, loaded=gate),
                    crowd.start("/set", cookie, loaded=gate, b="2"),
                ]
                for cookie in cookies
            ]
            if first:
                gate.wait_until_full()
            at = None if first else gate
            rotations = [crowd.start("/regenerate", cookie, loaded=at) for cookie in cookies]
            rotated = [answer.cookie for answer in results(rotations)]
            gate.open()
            quiet = [
                all(answer.status == 200 and not answer.sets_cookie for answer in results(flight))
                for flight in flights
            ]
            for counter in crowd.map(judge, zip(cookies, rotated, quiet, strict=True)):
                found += counter
    found["rows too many"] = rows(site) - before - races
    return found


def wrong_renewals(site: Site, races: int = 100) -> Counter[str]:
    """Five requests come at once when the token is due for renewal: one renews it."""
    found: Counter[str] = Counter()
    begun = datetime.now(UTC)
    due = begun + RENEWAL
    with site.crowd(5 * BATCH) as crowd:

        def judge(race: tuple[str, list[str]]) -> Counter[str]:
            old, new = race
            in_grace = crowd.get("/set", old, now=due + GRACE - timedelta(seconds=1), late="x")
            kept = [crowd.get("/read", cookie, now=due + GRACE).json for cookie in new]
            # Only now: a new token that no request has presented may be a lost answer.
            after = crowd.get("/read", old, now=due + GRACE)
            data = {"user": "someone", "a": "1", "b": "2", "c": "3", "late": "x"}
            return Counter(
                {
                    "not one cookie": len(new) != 1,
                    "logged out": any(seen["new"] for seen in kept),
                    "data lost": any(seen["data"] != data for seen in kept),
                    "a cookie in the grace": in_grace.status != 200 or in_grace.sets_cookie,
                    "open after the grace": after.json["data"] != {},
                }
            )

        for _ in range(races // BATCH):
            begin = [crowd.start("/set", now=begun, user="someone") for _ in range(BATCH)]
            cookies = [answer.cookie for answer in results(begin)]
            gate = site.gate(5 * BATCH)
            flights = [
                [
                    crowd.start("/read", cookie, loaded=gate, now=due),
                    crowd.start("/set", cookie, loaded=gate, now=due, a="1"),
                    crowd.start("/set", cookie, loaded=gate, now=due, b="2"),
                    crowd.start("/set", cookie, loaded=gate, now=due, c="3"),
                    crowd.start("/touch", cookie, loaded=gate, now=due),
                ]
                for cookie in cookies
            ]
            answers = [results(flight) for flight in flights]
            new = [[a.cookie for a in flight if a.sets_cookie] for flight in answers]
            for counter in crowd.map(judge, zip(cookies, new, strict=True)):
                found += counter
    return found


RENEWING = {
    "session.renewal_time": str(int(RENEWAL.total_seconds())),
    "session.renewal_grace": str(int(GRACE.total_seconds())),
}
