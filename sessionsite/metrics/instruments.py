"""What is measured, each instrument written once, and the way to whatever keeps the numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

Add = Callable[[float, str], None]
"""Adds an amount, or notes a value, for a value of the instrument's label."""
Read = Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class Instrument:
    name: str
    """OpenTelemetry's; Prometheus has `_` in place of the dots."""
    text: str
    label: str = ""
    unit: str = ""


class Counter(Enum):
    CREATED = Instrument("sessionsite.sessions.created", "Sessions that got a row.")
    LOADED = Instrument("sessionsite.sessions.loaded", "Sessions that were read from the store.")
    SAVED = Instrument("sessionsite.sessions.saved", "Changes and later ends that were stored.")
    MERGED = Instrument(
        "sessionsite.sessions.merged", "Saves that were merged with those of parallel requests."
    )
    ROTATED = Instrument("sessionsite.sessions.rotated", "Sessions that got a new token.")
    ENDED = Instrument(
        "sessionsite.sessions.ended", "Sessions that this process ended.", label="reason"
    )
    PRUNED = Instrument("sessionsite.sessions.pruned", "Expired rows that were deleted.")
    FAILED = Instrument(
        "sessionsite.store.failures", "Calls of the store that failed.", label="operation"
    )


class Histogram(Enum):
    STORE = Instrument(
        "sessionsite.store.duration",
        "How long calls of the store took.",
        label="operation",
        unit="s",
    )


class Gauge(Enum):
    AWAY = Instrument("sessionsite.store.away", "1 while this process counts the store as away.")
    POOL_LIMIT = Instrument("sessionsite.pool.limit", "Connections that the process may open.")
    POOL_OPEN = Instrument("sessionsite.pool.open", "Connections that are open.")
    POOL_IN_USE = Instrument("sessionsite.pool.in_use", "Connections that requests use.")
    PRUNE_ENDED = Instrument(
        "sessionsite.prune.ended", "When this process last ended a pruning, in Unix time.", unit="s"
    )
    PRUNE_ROWS = Instrument("sessionsite.prune.rows", "Rows that its last pruning deleted.")
    PRUNE_DURATION = Instrument(
        "sessionsite.prune.duration", "How long its last pruning took.", unit="s"
    )


BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of the histogram, in seconds: from one statement to `session.sql.timeout` and beyond."""


class Sink(Protocol):
    """Keeps the numbers, and gives them to whoever asks."""

    def counter(self, what: Counter) -> Add: ...

    def histogram(self, what: Histogram) -> Add: ...

    def gauge(self, what: Gauge, read: Read) -> None: ...


class Instruments:
    """All instruments, in every sink."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._add: dict[Counter | Histogram, list[Add]] = {
            **{each: [sink.counter(each) for sink in sinks] for each in Counter},
            **{each: [sink.histogram(each) for sink in sinks] for each in Histogram},
        }

    def add(self, what: Counter, amount: float = 1, label: str = "") -> None:
        for add in self._add[what]:
            add(amount, label)

    def observe(self, what: Histogram, value: float, label: str) -> None:
        for observe in self._add[what]:
            observe(value, label)

    def watch(self, what: Gauge, read: Read) -> None:
        """Have `read` called whenever the number is asked for; None: there is none."""
        for sink in self._sinks:
            sink.gauge(what, read)
