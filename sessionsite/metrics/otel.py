"""The same instruments through OpenTelemetry's API: the operator's own SDK exports them."""

from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from .instruments import BUCKETS, Add, Counter, Gauge, Histogram, Read


class OpenTelemetry:
    """A sink that costs next to nothing while no SDK is set up."""

    def __init__(self) -> None:
        self._meter = get_meter("sessionsite")

    def counter(self, what: Counter) -> Add:
        made = self._meter.create_counter(what.value.name, "", what.value.text)
        label = what.value.label
        if not label:
            return lambda amount, _: made.add(amount)
        return lambda amount, value: made.add(amount, {label: value})

    def histogram(self, what: Histogram) -> Add:
        made = self._meter.create_histogram(
            what.value.name,
            what.value.unit,
            what.value.text,
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        label = what.value.label
        return lambda amount, value: made.record(amount, {label: value})

    def gauge(self, what: Gauge, read: Read) -> None:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            value = read()
            return [] if value is None else [Observation(value)]

        self._meter.create_observable_gauge(
            what.value.name, [observe], what.value.unit, what.value.text
        )
