"""Logins whose redirect is followed at once."""

from tests.races.clients import Site

LATENCY = 0.02


def misses(site: Site, logins: int = 1000, clients: int = 50) -> int:
    """Logins whose redirect, followed at once, is not logged in.

    Every other visitor has a session already, whose token the login replaces. The processes
    take turns, so that with two of them the one that is asked is not the one that stored it.
    """
    with site.crowd(clients) as crowd:

        def log_in(number: int) -> bool:
            user = f"user-{number}"
            old = crowd.get("/set", latency=LATENCY, first="x").cookie if number % 2 else ""
            answer = crowd.get("/login", old, latency=LATENCY, user=user)
            assert (answer.status, answer.headers["Location"][-5:]) == (303, "/read")
            data: dict[str, str] = crowd.get("/read", answer.cookie).json["data"]
            return data != ({"first": "x"} if old else {}) | {"user": user}

        return sum(crowd.map(log_in, range(logins)))
