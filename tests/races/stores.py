"""What stands around the store in the app's process: gates, latency, and a clock to set."""

import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sessionsite.sessions.store import Record, SessionStore
from tests.races.gates import wait_at

Change = Callable[[Record], Record | None]


@dataclass
class Orders:
    """What a test has asked of one request, in its headers."""

    gates: dict[str, str] = field(default_factory=dict)
    latency: float = 0
    now: datetime | None = None


_orders: ContextVar[Orders] = ContextVar("orders", default=Orders())  # noqa: B039  # never changed


def now() -> datetime:
    """The factory's clock: the time that a test has set for this request, or the real one."""
    return _orders.get().now or datetime.now(UTC)


class OrderTaker:
    """The WSGI app within; the headers `X-Gates`, `X-Latency` and `X-Now` are for the store."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        instant = environ.get("HTTP_X_NOW")
        orders = Orders(
            dict(pair.split("=") for pair in environ.get("HTTP_X_GATES", "").split()),
            float(environ.get("HTTP_X_LATENCY", 0)),
            datetime.fromisoformat(instant) if instant else None,
        )
        _orders.set(orders)
        body: Iterable[bytes] = self._app(environ, start_response)
        return body


class ObedientStore:
    """A `SessionStore` around another, that waits where it was told to.

    It waits at the gate `loaded` after it has read a record, and for the latency before it commits
    a write; in `update` that is under the row's lock.
    """

    def __init__(self, store: SessionStore, gate_port: int) -> None:
        self._store = store
        self._gate_port = gate_port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def load(self, id: str, now: datetime) -> Record | None:
        record = self._store.load(id, now)
        if gate := _orders.get().gates.get("loaded"):
            wait_at(self._gate_port, gate)
        return record

    def create(self, record: Record) -> None:
        time.sleep(_orders.get().latency)
        self._store.create(record)

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        time.sleep(_orders.get().latency)
        return self._store.save(record, expected_version, now)

    def update(self, id: str, now: datetime, change: Change) -> Record | None:
        def slow_change(newest: Record) -> Record | None:
            changed = change(newest)
            time.sleep(_orders.get().latency)
            return changed

        return self._store.update(id, now, slow_change)
