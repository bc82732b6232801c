"""A visitor who notes what was answered 200, so that what became of it can be looked up."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.harness.production import Answer, Browser

ALL_VISITS = (
    "sessionsite.history_limit = 10000",
    "sessionsite.history_bytes = none",
    "session.max_bytes = 10000000",
)
"""Lines for [app:main], with which a session keeps every visit of a test."""


class RecordingVisitor:
    """Visits, and notes which visits were answered 200, and when."""

    def __init__(self, *urls: str) -> None:
        """`urls`: of processes that take turns."""
        self.browser = Browser(urls[0])
        self.answered: list[str] = []
        self.times: list[float] = []
        self._urls = urls
        self._asked = 0

    def turn_to(self, *urls: str) -> None:
        """Visit these processes from now on, in turns."""
        self._urls = urls

    @property
    def last(self) -> float:
        """When the last visit was answered 200."""
        return self.times[-1] if self.times else 0.0

    def visit(self) -> Answer:
        """One visit, to the next process, which is answered 200 or 503."""
        urls = self._urls
        self.browser.turn_to(urls[self._asked % len(urls)])
        self._asked += 1
        answer = self.browser.get(f"/?{self._asked}")
        if answer.status == 200:
            self.answered.append(answer.history[0])
            self.times.append(time.monotonic())
        else:
            assert answer.status == 503
        return answer

    def check(self) -> None:
        """Every visit that was answered 200 is there, in order; none is there twice."""
        page = self.visit()
        assert page.status == 200
        assert len(set(page.history)) == len(page.history)
        known = set(self.answered)
        assert [url for url in reversed(page.history) if url in known] == self.answered


@contextmanager
def browsing(
    visitors: Sequence[RecordingVisitor], pause: float, *, refused: bool
) -> Iterator[list[BaseException]]:
    """Have each of them visit in a thread, `pause` seconds apart; yields their errors so far.

    `refused`: whether an answer may be 503. At the end none has failed, and nothing is lost.
    """
    over = threading.Event()
    errors: list[BaseException] = []

    def browse(visitor: RecordingVisitor) -> None:
        try:
            while not over.wait(pause):
                assert visitor.visit().status == 200 or refused
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=browse, args=(each,)) for each in visitors]
    for thread in threads:
        thread.start()
    try:
        yield errors
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert errors == []
    for visitor in visitors:
        visitor.check()
