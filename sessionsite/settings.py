"""The site's own .ini keys (prefix `sessionsite.`), each written once: frozen, typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator

from .sessions.ini import (
    BOOLEAN,
    SettingsReader,
    key,
    optional_text,
    text,
    whole,
    whole_or_none,
    words,
)


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
        "Pyramid's 4,064. `production.ini`: `none`, since its data is not in the cookie.",
        default=2400,
    )
    contact: str = key(text(), "The operator's address, on the Contact page.", default="")
    allowed_hosts: tuple[str, ...] = key(
        words("host names"),
        "The names that the site answers to, without ports, separated by white space. A request "
        "for any other `Host` is answered 400, `/healthz` aside. Empty: any name.",
        default=(),
    )
    error_page: bool = key(
        BOOLEAN,
        "Whether an unexpected error is logged and answered with the site's 500 page. "
        "`development.ini`: `false`, so that pyramid_debugtoolbar shows the traceback.",
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
    read.finish()
    values["allowed_hosts"] = tuple(host.lower() for host in values["allowed_hosts"])
    return SiteSettings(**values)


def includeme(config: Configurator) -> None:
    """Read them once, as `registry.site`. Raises `ConfigurationError`."""
    config.registry.site = site_settings(config.registry.settings)
