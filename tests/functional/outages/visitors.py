"""Visitors who know what was answered, before, while and after the store is away."""

import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from tests.functional.outages.asserting import assert_the_rest_answers, assert_unavailable
from tests.harness.production import Answer, Browser
from tests.harness.pserve import Pserve

SLACK = 1  # for a machine that does other things too
VISITORS = 6  # more than the process has threads


@dataclass
class Visitor:
    """One who knows what was answered."""

    browser: Browser
    answered: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def visit(self) -> Answer:
        path = f"/contact?{next(self._numbers)}"
        before = dict(self.browser.cookies)
        answer = self.browser.get(path)
        if answer.status == 200:
            self.answered.append(path)
        else:
            assert_unavailable(answer)
            assert self.browser.cookies == before
            self.unknown.add(path)
        return answer

    def assert_whole(self, page: Answer, url: str) -> None:
        """The history has what was answered, once and in order, and at most once what was not."""
        history = [visit.removeprefix(url) for visit in reversed(page.history)]
        assert [path for path in history if path not in self.unknown] == self.answered
        assert len(set(history)) == len(history)


class Crowd(Thread):
    """Visitors at full speed, until `stop`."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.visitors = [Visitor(Browser(url)) for _ in range(VISITORS)]
        self._stopped = Event()
        self._failed: list[BaseException] = []

    def run(self) -> None:
        threads = [Thread(target=self._visit, args=[visitor]) for visitor in self.visitors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _visit(self, visitor: Visitor) -> None:
        try:
            while not self._stopped.is_set():
                visitor.visit()
                time.sleep(0.01)
        except BaseException as exc:
            self._failed.append(exc)

    def stop(self) -> None:
        self._stopped.set()
        self.join(60)
        assert self._failed == []


def health_of(site: Pserve) -> Answer:
    return Browser(site.url).get("/healthz")


def assert_an_outage(
    outage: AbstractContextManager[Any],
    site: Pserve,
    timeout: float,
    password: str,
    *,
    room: float = 1,
) -> None:
    """Begin and end an outage of the store of a site that has visitors.

    `timeout`: the seconds within which each request is answered. `room`: for how many seconds, at
    most, visits are still saved. `password`: the store's, which no page may show.
    """
    visitor = Visitor(Browser(site.url))
    for _ in range(3):
        assert visitor.visit().status == 200
    crowd = Crowd(site.url)
    crowd.start()
    with outage:
        began = asked = time.monotonic()
        while visitor.visit().status == 200:
            assert asked - began < room
            asked = time.monotonic()
        began = asked
        assert time.monotonic() - began < timeout + SLACK
        longest = 0.0
        while time.monotonic() - began < timeout + 3 * SLACK:
            asked = time.monotonic()
            assert_the_rest_answers(Browser(site.url))
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.05)
        assert longest < timeout  # of three requests, one of which may have met the first moment
        health = health_of(site)
        deadline = time.monotonic() + 20  # a full disk may have room for the check's own row
        while health.status == 200 and time.monotonic() < deadline:
            time.sleep(0.2)
            health = health_of(site)
        assert health.status == 503
        assert '"cause": "' in health.text
        assert password not in health.text
    ended = time.monotonic()
    while (page := visitor.visit()).status != 200:
        assert time.monotonic() - ended < 1 + SLACK
    crowd.stop()
    visitor.assert_whole(page, site.url)
    for other in crowd.visitors:
        page = other.visit()
        assert page.status == 200
        other.assert_whole(page, site.url)
    assert health_of(site).status == 200
    log = site.output()
    assert "Traceback" not in log
    assert sum("ERROR" in line for line in log.splitlines()) < 10  # none per request
