"""What `pshell production.ini` offers: the session store, as `store`."""

from typing import Any

from pyramid.interfaces import ISessionFactory

from .sessions import IServerSessionFactory


def setup(env: dict[str, Any]) -> None:
    """Add `store` to pshell's variables; None where the session factory has no store."""
    factory = env["registry"].queryUtility(ISessionFactory)
    env["store"] = factory.store if IServerSessionFactory.providedBy(factory) else None
