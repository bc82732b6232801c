"""Two ways to do the same, timed side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Once = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One piece: what it takes us and the library, and what follows."""

    piece: str
    library: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    """The library's, of ours: above 1, ours takes less."""


def compare(piece: str, library: str, ours: Once, theirs: Once, rounds: int, seconds: float) -> Row:
    """CPU of each call, in turns; the ratio is that of each round by itself."""
    pairs = [(_each(ours, seconds), _each(theirs, seconds)) for _ in range(rounds)]
    return from_pairs(piece, library, "µs", pairs)


def from_pairs(piece: str, library: str, unit: str, pairs: list[tuple[float, float]]) -> Row:
    """The row of what several rounds have found, ours first."""
    ours, theirs = (median(found) for found in zip(*pairs, strict=True))
    return Row(piece, library, ours, theirs, unit, median(b / a for a, b in pairs))


def _each(once: Once, seconds: float) -> float:
    """Microseconds of this process's CPU, user and system."""
    for _ in range(20):
        once()
    count = 0
    start, end = time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(20):
            once()
        count += 20
    return (time.process_time() - start) / count * 1e6
