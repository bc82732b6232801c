"""Feeds the instruments: from events, from the measured store, and from what it knows."""

from collections.abc import Callable
from typing import Any

from pyramid.registry import Registry

from ..sessions import (
    Connections,
    SessionCreated,
    SessionEnded,
    SessionMerged,
    SessionRotated,
    StoreBack,
    StoreUnavailable,
    Sweep,
)
from .instruments import Counter, Gauge, Instruments
from .measured import measured


class _Ended:
    """Counts the ends of sessions, by reason."""

    expired_too = False  # the store counts those, and need not read them back

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def __call__(self, event: SessionEnded) -> None:
        self._instruments.add(Counter.ENDED, label=event.reason.replace(" ", "_"))


def watch(registry: Registry, factory: Any, instruments: Instruments) -> None:
    """Have the instruments tell of the app's sessions, and of the store of its factory."""
    store = factory.store = measured(factory.store, instruments)
    away = [0.0]

    def count(what: Counter) -> Callable[[object], None]:
        return lambda event: instruments.add(what)

    def set_away(value: float) -> Callable[[object], None]:
        return lambda event: away.__setitem__(0, value)

    for kind, handler in {
        SessionCreated: count(Counter.CREATED),
        SessionMerged: count(Counter.MERGED),
        SessionRotated: count(Counter.ROTATED),
        SessionEnded: _Ended(instruments),
        StoreUnavailable: set_away(1.0),
        StoreBack: set_away(0.0),
    }.items():
        # Not `add_subscriber`, which hides the handler's attributes.
        registry.registerHandler(handler, [kind])

    def of_pool(number: Callable[[Connections], float]) -> Callable[[], float | None]:
        def read() -> float | None:
            connections = store.connections()
            return None if connections is None else number(connections)

        return read

    def of_run(number: Callable[[Sweep], float]) -> Callable[[], float | None]:
        return lambda: None if store.noted is None else number(store.noted)

    instruments.watch(Gauge.AWAY, lambda: away[0])
    instruments.watch(Gauge.POOL_LIMIT, of_pool(lambda connections: connections.limit))
    instruments.watch(Gauge.POOL_OPEN, of_pool(lambda connections: connections.open))
    instruments.watch(Gauge.POOL_IN_USE, of_pool(lambda connections: connections.in_use))
    instruments.watch(Gauge.PRUNE_ENDED, of_run(lambda run: run.ended_at.timestamp()))
    instruments.watch(Gauge.PRUNE_ROWS, of_run(lambda run: run.rows))
    instruments.watch(Gauge.PRUNE_DURATION, of_run(lambda run: run.seconds))
