"""Metrics of sessions and their store: `pyramid.includes = sessionsite.metrics`.

For Prometheus on a listener of its own, and through OpenTelemetry's API where that is installed. An
app that does not include this pays nothing for it: the store is wrapped, and events are listened
to, here alone.
"""

from .including import includeme

__all__ = ["includeme"]
