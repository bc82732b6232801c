"""The site's own .ini keys (prefix `sessionsite.`), frozen and typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator

from .sessions.configuration import ConfigurationError, SettingsReader, expand_environment

__all__ = ["ConfigurationError", "SiteSettings", "expand_environment", "site_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """The keys of `sessionsite.*`, one attribute per key."""

    history_limit: int = 20
    """How many visits the history keeps."""
    history_bytes: int | None = 2400
    """How many bytes of JSON text the history may take; None is no limit."""
    contact: str = ""
    """The operator's address, for the Contact page."""
    allowed_hosts: tuple[str, ...] = ()
    """The `Host` names that the site serves; with none given, it serves any."""
    error_page: bool = True
    """Answer an unexpected error with the site's own page, not with pyramid_debugtoolbar's."""
    hsts: int | None = None
    """For how many seconds browsers are to use https alone; None tells them nothing."""


def site_settings(settings: Mapping[str, Any]) -> SiteSettings:
    """Read the `sessionsite.*` keys. Raises `ConfigurationError`."""
    read = SettingsReader(settings, "sessionsite.")
    read.text("session_factory", "")  # the sessions package reads it
    site = SiteSettings(
        history_limit=read.integer("history_limit", 20, minimum=1, unit="visits"),
        history_bytes=read.limit("history_bytes", 2400, minimum=2, unit="bytes"),
        contact=read.text("contact", ""),
        allowed_hosts=tuple(host.lower() for host in read.words("allowed_hosts")),
        error_page=read.boolean("error_page", True),
        hsts=read.limit("hsts", None, minimum=1, unit="seconds"),
    )
    read.finish()
    return site


def includeme(config: Configurator) -> None:
    """Read the site's settings into `registry.site`. Raises `ConfigurationError`."""
    config.registry.site = site_settings(config.registry.settings)
