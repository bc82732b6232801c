"""The keys of `[server:...]` with `use = egg:sessionsite#granian`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from waitress.adjustments import Adjustments

from ..sessions import ConfigurationError
from ..sessions.ini import SettingsReader, key, whole
from .waitress import StopSettings, read_adjustments

# waitress's keys that mean the same here, since its own code reads them.
SHARED: Final = {
    "backlog",
    "clear_untrusted_proxy_headers",
    "listen",
    "log_untrusted_proxy_headers",
    "trusted_proxy",
    "trusted_proxy_count",
    "trusted_proxy_headers",
    "url_prefix",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GranianSettings(StopSettings):
    workers: int = key(
        whole("processes"),
        "How many processes serve. With one, that is pserve's own; with more, pserve's only starts "
        "them, again when one has died, and stops them.",
        default=1,
    )
    threads: int = key(
        whole("threads"), "How many requests each process works on at once.", default=4
    )
    max_request_body_size: int = key(
        whole("bytes", minimum=0),
        "A request with a longer body is answered 413, unread.",
        default=16384,
    )
    max_request_header_size: int = key(
        whole("bytes", minimum=8192),
        "A request with longer headers, its first line included, or with more than 100 of them, is "
        "answered 431.",
        default=65536,
    )
    channel_timeout: int = key(
        whole("seconds"),
        "How long a connection may be silent before its next request, and how long the headers of "
        "a request may take. More than the proxy keeps an idle connection.",
        default=120,
    )
    connection_limit: int = key(
        whole("connections"),
        "How many connections each process takes at once; further ones wait.",
        default=1000,
    )


def read_settings(settings: Mapping[str, str]) -> tuple[GranianSettings, Adjustments]:
    """Return our keys, and those that waitress reads. Raises `ConfigurationError`."""
    shared = {name: value for name, value in settings.items() if name in SHARED}
    read = SettingsReader({k: v for k, v in settings.items() if k not in shared}, "")
    ours = GranianSettings(**read.keys(GranianSettings))
    read.finish(known=SHARED)
    adjustments = read_adjustments({"clear_untrusted_proxy_headers": "true", **shared})
    if len(adjustments.listen) != 1:
        raise ConfigurationError(
            f"listen = {settings.get('listen', '')!r}: granian listens at one address: give "
            "host:port, with an address for the host"
        )
    return ours, adjustments
