"""Web sessions for Pyramid: `config.include("sessionsite.sessions")` and a few .ini keys.

`sessionsite.session_factory` names a callable `(settings) -> ISessionFactory`: ours are
`sessionsite.sessions.server.session_factory_from_settings` and
`sessionsite.sessions.cookie.session_factory_from_settings`. The folder needs nothing outside
itself, so it can be lifted into an app as it is.
"""

from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.interfaces import ISessionFactory
from pyramid.path import DottedNameResolver
from pyramid.registry import Registry
from pyramid.tweens import EXCVIEW, INGRESS

from .configuration import ConfigurationError
from .headers import prevent_caching
from .sweeper import Sweeper

FACTORY_KEY = "sessionsite.session_factory"
SAVE_TWEEN = "sessionsite.sessions.tween.save_tween_factory"


def session_factory(settings: Mapping[str, Any]) -> Any | None:
    """Return the session factory that `settings` names; None where they name none.

    Raises `ConfigurationError`.
    """
    name = str(settings.get(FACTORY_KEY) or "").strip()
    if not name:
        return None
    try:
        make = DottedNameResolver(None).resolve(name)
    except (ImportError, ValueError) as exc:
        raise ConfigurationError(
            f"{FACTORY_KEY} = {name!r}: give the dotted name of a callable, and install its "
            f"package ({exc})"
        ) from exc
    if not callable(make):
        raise ConfigurationError(
            f"{FACTORY_KEY} = {name!r}: give the dotted name of a callable that takes the settings"
        )
    return make(settings)


def check(registry: Registry) -> None:
    """Raise `StoreError` unless the session store of ours can be read; others' are not asked."""
    check = getattr(registry.queryUtility(ISessionFactory), "check", None)
    if check is not None:
        check()


def _prevent_caching(event: NewResponse) -> None:
    if "session" in event.request.__dict__:  # whichever factory it came from
        prevent_caching(event.response)


def _start_sweeper(event: ApplicationCreated) -> None:
    factory = event.app.registry.queryUtility(ISessionFactory)
    interval = getattr(getattr(factory, "settings", None), "prune_interval", None)
    if interval is not None:
        Sweeper(factory.store, interval, factory.now).start()


def includeme(config: Configurator) -> None:
    factory = session_factory(config.registry.settings)
    if factory is not None:
        config.set_session_factory(factory)
        config.add_subscriber(_start_sweeper, ApplicationCreated)
    config.add_tween(SAVE_TWEEN, under=INGRESS, over=["pyramid_tm.tm_tween_factory", EXCVIEW])
    config.add_subscriber(_prevent_caching, NewResponse)
