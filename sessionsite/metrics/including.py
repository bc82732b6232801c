"""`pyramid.includes = sessionsite.metrics`: what an app gets by that."""

from contextlib import suppress

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewRequest

from ..sessions import server_factory
from .instruments import Instruments, Sink
from .settings import metrics_settings
from .watching import watch


def includeme(config: Configurator) -> None:
    """Measure the sessions of the app, and their store: `config.include("sessionsite.metrics")`.

    Raises `ConfigurationError`.
    """
    settings = metrics_settings(config.registry.settings)
    sinks: list[Sink] = []
    if settings.listen is not None:
        from .prometheus import Prometheus  # the extra [metrics] is for those who listen

        prometheus = Prometheus(settings.listen)
        sinks.append(prometheus)
        config.add_subscriber(prometheus.serve, NewRequest)
    with suppress(ImportError):
        from .otel import OpenTelemetry

        sinks.append(OpenTelemetry())
    instruments = Instruments(sinks)

    def start(event: ApplicationCreated) -> None:
        factory = server_factory(event.app.registry)
        if factory is not None:
            watch(event.app.registry, factory, instruments)

    config.add_subscriber(start, ApplicationCreated)
    config.registry.metrics = instruments
