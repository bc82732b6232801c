"""The instruments for Prometheus, on a listener of the process's own."""

import logging
import math
import os
from contextlib import suppress
from typing import Any

from ..sessions import ConfigurationError
from ..sessions.once import OncePerProcess
from .instruments import BUCKETS, Add, Counter, Gauge, Histogram, Instrument, Read
from .settings import PREFIX, Address

try:
    import prometheus_client as client
except ImportError as exc:
    raise ConfigurationError(
        f"{PREFIX}listen: needs prometheus-client: pip install 'sessionsite[metrics]', or give none"
    ) from exc

log = logging.getLogger(__name__)

_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


def _name(what: Instrument) -> str:
    return what.name.replace(".", "_") + ("_seconds" if what.unit == "s" else "")


class Prometheus:
    """A registry of one app, which each process that serves requests answers from."""

    def __init__(self, address: Address) -> None:
        """Raises `ConfigurationError`."""
        if os.environ.get(_MULTIPROCESS):
            raise ConfigurationError(
                f"{PREFIX}listen: {_MULTIPROCESS} is set, but each process answers for itself: "
                "unset it, and give a range of ports, such as 127.0.0.1:9464-9471"
            )
        self.registry = client.CollectorRegistry()
        for collector in (client.ProcessCollector, client.PlatformCollector):
            collector(registry=self.registry)
        self._address = address
        self._once = OncePerProcess("Metrics", self._listen)

    def counter(self, what: Counter) -> Add:
        labels = [what.value.label] if what.value.label else []
        made = client.Counter(_name(what.value), what.value.text, labels, registry=self.registry)
        if not labels:
            return lambda amount, _: made.inc(amount)
        children: dict[str, Any] = {}

        def add(amount: float, label: str) -> None:
            child = children.get(label)
            if child is None:  # `labels` takes a lock, and longer than the rest
                child = children[label] = made.labels(label)
            child.inc(amount)

        return add

    def histogram(self, what: Histogram) -> Add:
        made = client.Histogram(
            _name(what.value),
            what.value.text,
            [what.value.label],
            buckets=BUCKETS,
            registry=self.registry,
        )
        children: dict[str, Any] = {}

        def observe(value: float, label: str) -> None:
            child = children.get(label)
            if child is None:
                child = children[label] = made.labels(label)
            child.observe(value)

        return observe

    def gauge(self, what: Gauge, read: Read) -> None:
        def number() -> float:
            value = read()
            return math.nan if value is None else value

        client.Gauge(_name(what.value), what.value.text, registry=self.registry).set_function(
            number
        )

    def serve(self, event: object) -> None:
        """Listen, if this process does not yet."""
        self._once.serve()

    def _listen(self) -> None:
        host, ports = self._address.host, self._address.ports
        for port in ports:
            with suppress(OSError):
                client.start_http_server(port, host, self.registry)
                log.info("Metrics: at http://%s:%d/metrics", host, port)
                return
        log.error(
            "Metrics: can't listen at %s:%d-%d, so that nobody sees those of this process: give "
            "each process a port in sessionsite.metrics.listen",
            host, ports[0], ports[-1],
        )  # fmt: skip
