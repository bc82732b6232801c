"""Visits that go on beside whatever is done to the table."""

import random
import threading
import time

from benchmarks import ours


class Visits(threading.Thread):
    """One visitor after the other, as fast as they are served, in a thread of its own."""

    def __init__(self, url: str, rows: int) -> None:
        super().__init__(daemon=True)
        self._url, self._rows = url, rows
        self._over = threading.Event()
        self.taken: list[float] = []
        """Milliseconds of each visit: a load and a save."""
        self.failed = 0

    def __enter__(self) -> "Visits":
        self.start()
        time.sleep(0.3)  # until its statements are prepared
        self.taken.clear()
        self.begun = time.perf_counter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.perf_counter() - self.begun
        self._over.set()
        self.join()

    def run(self) -> None:
        numbers = random.Random(1)  # noqa: S311  # no secret
        with ours.opened(self._url, timeout=60) as store:
            while not self._over.is_set():
                started = time.perf_counter()
                if not ours.visit(store, numbers.randint(1, self._rows)):
                    self.failed += 1
                self.taken.append((time.perf_counter() - started) * 1e3)
                time.sleep(0.001)  # it is to notice what waits, and not to load the machine

    def longest(self) -> str:
        if self.failed:
            raise RuntimeError(f"{self.failed} visits were not saved")
        return f"{max(self.taken):,.0f}"
