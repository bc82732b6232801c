"""What a factory says of the sessions it makes, for a page that tells its visitors."""

from dataclasses import dataclass

from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry

from .interfaces import IDescribedSessionFactory
from .settings import CookieSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """The settings in force. Times are in seconds; None is "no limit"."""

    where: str
    """Completes the sentence "Your session is kept …"."""
    durability: str = ""
    """Completes the sentence "What a page has shown you …"; empty where nothing is promised."""
    replication: str = ""
    """Completes the sentence "It is copied …"; empty where nothing is promised."""
    cookie: CookieSettings
    """The settings of the cookie; of the server factory all of its settings."""
    lifetime: int | None
    """Seconds from a session's creation to its absolute end."""
    max_bytes: int
    """How many bytes a session's JSON text may have."""


def describe(registry: Registry) -> SessionDescription | None:
    """Return how the app's session factory describes itself; None for another package's."""
    factory = registry.queryUtility(ISessionFactory)
    if not IDescribedSessionFactory.providedBy(factory):
        return None
    description: SessionDescription = factory.description
    return description
