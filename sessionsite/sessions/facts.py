"""What a factory can say about the sessions it makes, for a page that tells its visitors."""

from dataclasses import dataclass

from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry

from .settings import CookieSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The settings in force. Times are in seconds; None is "no limit"."""

    where: str
    """Where the data is, to be read after "is kept"."""
    cookie: CookieSettings
    lifetime: int | None


def session_facts(registry: Registry) -> SessionFacts | None:
    """Return what the app's session factory says of itself; None for another package's."""
    facts = getattr(registry.queryUtility(ISessionFactory), "facts", None)
    return facts if isinstance(facts, SessionFacts) else None
