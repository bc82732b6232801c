"""The keys of metrics (prefix `sessionsite.metrics.`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sessions.ini import Kind, SettingsReader, key

PREFIX = "sessionsite.metrics."


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: at the first of these ports that is free."""

    host: str
    ports: range


def _address(value: Any) -> Address | None:
    text = str(value)
    if text.lower() == "none":
        return None
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:]+):(\d{1,5})(?:-(\d{1,5}))?", text)
    if found is None:
        raise ValueError
    first, last = int(found[2]), int(found[3] or found[2])
    if not 1 <= first <= last <= 65535:
        raise ValueError
    return Address(found[1].strip("[]"), range(first, last + 1))


ADDRESS = Kind(_address, "give host:port, host:first-last, or none", "address, `none`")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    listen: Address | None = key(  # noqa: RUF009  # it is frozen
        ADDRESS,
        "Where each process answers Prometheus, with `pyramid.includes = sessionsite.metrics`. "
        "Several processes on one host need a port each: `127.0.0.1:1%(http_port)s` makes 16544 of "
        "6544, and of `127.0.0.1:9464-9471` each process takes the first port that is free. "
        "`none`: OpenTelemetry alone.",
        default=Address("127.0.0.1", range(9464, 9465)),
        documented="`127.0.0.1:9464`",
    )


def metrics_settings(settings: Mapping[str, Any]) -> MetricsSettings:
    """Read the `sessionsite.metrics.*` keys. Raises `ConfigurationError`."""
    read = SettingsReader(settings, PREFIX)
    values = read.keys(MetricsSettings)
    read.finish()
    return MetricsSettings(**values)
