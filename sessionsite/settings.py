"""The site's own .ini keys (prefix `sessionsite.`), each written once: frozen, typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator

from .hosts import HOST_NAMES, LOOPBACK, HostNames, parse_host_names
from .sessions.ini import (
    BOOLEAN,
    ConfigurationError,
    SettingsReader,
    key,
    optional_text,
    text,
    whole,
    whole_or_none,
)

METRICS = "metrics."  # the keys of sessionsite.metrics, which checks them


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    session_factory: str | None = key(
        optional_text("dotted name"),
        "A callable that takes the settings and returns a Pyramid session factory.",
        default=None,
    )
    history_limit: int = key(
        whole("visits"), "How many visits the history keeps. The oldest go first.", default=20
    )
    history_bytes: int | None = key(
        whole_or_none("bytes", minimum=2),
        "How large the history's JSON text may be. 2,400 bytes keep a signed cookie within "
        "Pyramid's 4,064. `production.ini`: `16384`, since its data is not in the cookie. What the "
        "session can't hold beside the rest goes in any case.",
        default=2400,
    )
    contact: str = key(text(), "The operator's address, on the Contact page.", default="")
    allowed_hosts: HostNames = key(  # noqa: RUF009  # they are frozen
        HOST_NAMES,
        "The names that the site answers to, without ports, separated by white space. A request "
        "for any other `Host` is answered 400, `/healthz` aside. `*.example.org` is every name "
        "below `example.org`, `*` any name at all. `production.ini`: `${SITE_HOSTS}`, without "
        "which it does not start.",
        default=parse_host_names(LOOPBACK),
        documented=f"`{LOOPBACK}`",
    )
    secret_file: str | None = key(
        optional_text("path"),
        "Where `session.secret` is not set, the secret is in this file, which is made at the first "
        "start, readable for its owner alone. `development.ini`: a file beside it, so that each "
        "checkout has a secret of its own.",
        default=None,
    )
    error_page: bool = key(
        BOOLEAN,
        "Whether an unexpected error is logged and answered with the site's 500 page. "
        "`development.ini`: `false`, so that pyramid_debugtoolbar shows the traceback. With `true` "
        "the site does not start with the toolbar.",
        default=True,
    )
    hsts: int | None = key(
        whole_or_none("seconds"),
        "`Strict-Transport-Security: max-age=...`, on https responses alone. `production.ini`: "
        "`31536000`.",
        default=None,
    )


def site_settings(settings: Mapping[str, Any]) -> SiteSettings:
    """Read the `sessionsite.*` keys. Raises `ConfigurationError`."""
    read = SettingsReader(settings, "sessionsite.")
    values = read.keys(SiteSettings)
    read.section(METRICS)
    read.finish()
    return SiteSettings(**values)


def includeme(config: Configurator) -> None:
    """Read them once, as `registry.site`. Raises `ConfigurationError`."""
    if not hasattr(config.registry, "metrics"):
        for name in config.registry.settings:
            if name.startswith(f"sessionsite.{METRICS}"):
                raise ConfigurationError(
                    f"{name}: has no effect without pyramid.includes = sessionsite.metrics"
                )
    config.registry.site = site_settings(config.registry.settings)
