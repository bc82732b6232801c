"""Pyramid's own signed cookie by .ini keys, for `session.migrate_from`: it has none itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.session import JSONSerializer, SignedCookieSessionFactory

from .ini import SettingsReader, key, text, whole_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidCookieSettings:
    """The arguments of `SignedCookieSessionFactory` that decide what a cookie says."""

    secret: str = key(text(), "Signs the cookie.")
    cookie_name: str = key(text(), "The cookie's name.", default="session")
    timeout: int | None = key(whole_or_none("seconds"), "Idle time-out.", default=1200)
    salt: str = key(text(), "Goes into the signature.", default="pyramid.session.")
    hashalg: str = key(text(), "The hash of the signature.", default="sha512")


def session_factory_from_settings(settings: Mapping[str, Any]) -> Any:
    """Return Pyramid's signed cookie factory, which reads JSON and nothing else.

    Reads `session.secret`, `session.cookie_name`, `session.timeout`, `session.salt` and
    `session.hashalg`. Raises `ConfigurationError`.
    """
    read = SettingsReader(settings, "session.")
    values = read.keys(PyramidCookieSettings)
    read.finish()
    return SignedCookieSessionFactory(**values, serializer=JSONSerializer())
