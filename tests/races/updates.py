"""What parallel requests may lose: keys, visits, messages, increments."""

import html
import re
from collections import Counter
from collections.abc import Callable

from tests.races.clients import Site, results

VISITS = 100


def lost_keys(site: Site, rounds: int = 20, parallel: int = 20) -> int:
    """Each of `parallel` requests has loaded the session before any stores its own key."""
    expected: dict[str, str] = {}
    with site.crowd(parallel) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            gate = site.gate(parallel)
            keys = [f"{round_}-{number}" for number in range(parallel)]
            expected |= dict.fromkeys(keys, "x")
            answers = results([crowd.start("/set", cookie, loaded=gate, **{k: "x"}) for k in keys])
            assert {(answer.status, answer.sets_cookie) for answer in answers} == {(200, False)}
        stored = crowd.get("/read", cookie).json["data"]
    return len(expected.items() - stored.items())


def lost_visits(site: Site, path: Callable[[int], str]) -> int:
    """How many of `VISITS` parallel page views the history lacks."""
    with site.crowd(VISITS) as crowd:
        first = crowd.get("/contact")
        gate = site.gate(VISITS)
        paths = [path(number) for number in range(VISITS)]
        answers = results([crowd.start(p, first.cookie, loaded=gate) for p in paths])
        assert {(answer.status, answer.sets_cookie) for answer in answers} == {(200, False)}
        page = crowd.get("/contact", first.cookie).body.decode()
    (listed,) = re.findall("<ol>(.*)</ol>", page, re.DOTALL)
    urls = [html.unescape(url) for url in re.findall('href="(.*?)"', listed)]
    seen = Counter(re.sub("http://.*?/", "/", url) for url in urls)
    assert seen.pop("/contact") == 2
    assert seen <= Counter(paths)
    return (Counter(paths) - seen).total()


def lost_messages(site: Site, rounds: int = 10, parallel: int = 20) -> int:
    """How many messages, queued by parallel requests, are not shown exactly once."""
    lost = 0
    with site.crowd(parallel) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            gate = site.gate(parallel)
            messages = [f"{round_}-{number}" for number in range(parallel)]
            results([crowd.start("/flash", cookie, loaded=gate, message=m) for m in messages])
            shown = crowd.get("/pop", cookie).json["messages"]
            lost += (Counter(messages) - Counter(shown)).total()
            lost += (Counter(shown) - Counter(messages)).total()
            assert crowd.get("/pop", cookie).json["messages"] == []
    return lost


def wrongly_popped(site: Site, rounds: int = 20) -> int:
    """Messages shown never, or again after two parallel requests had shown them.

    A third request adds one while those two are at it.
    """
    wrong = 0
    with site.crowd(3) as crowd:
        cookie = crowd.get("/set", first="").cookie
        for round_ in range(rounds):
            messages = [f"{round_}-{number}" for number in range(5)]
            late = f"{round_}-late"
            crowd.get("/flash", cookie, message=messages)
            gate = site.gate(3)
            flash = crowd.start("/flash", cookie, loaded=gate, message=late)
            pops = [crowd.start("/pop", cookie, loaded=gate) for _ in range(2)]
            results([flash])
            answers = [*results(pops), *(crowd.get("/pop", cookie) for _ in range(2))]
            shown = Counter(m for answer in answers for m in answer.json["messages"])
            assert shown.keys() <= {*messages, late}
            wrong += sum(not 1 <= shown[m] <= 2 for m in messages) + (shown[late] != 1)
    return wrong


def lost_increments(site: Site, clients: int = 50, increments: int = 20) -> int:
    with site.crowd(clients) as crowd:
        cookie = crowd.get("/set", first="").cookie

        def work(_: int) -> list[int]:
            return [crowd.get("/increment", cookie).json["counter"] for _ in range(increments)]

        returned = [number for numbers in crowd.map(work, range(clients)) for number in numbers]
        counter = crowd.get("/read", cookie).json["data"]["counter"]
    total = clients * increments
    if counter == total:
        assert sorted(returned) == list(range(1, total + 1))
    return total - int(counter)
