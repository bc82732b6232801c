"""`config.include("sessionsite.sessions")`: what an app gets by that."""

import logging
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.interfaces import ISessionFactory, ITweens
from pyramid.tweens import EXCVIEW, INGRESS

from .all_sessions import give_session_store
from .ini import resolve
from .interfaces import ISavedSession, server_factory
from .log_context import install as install_log_context
from .response import prevent_caching
from .store import StoreError

log = logging.getLogger(__package__)

FACTORY_KEY = "sessionsite.session_factory"
"""The .ini key that names the session factory."""
_NAMED = f"{__package__}.named"
SAVE_TWEEN = f"{__package__}.tween.save_tween_factory"
"""The tween that makes the 503 page: an app's own tweens stand under it, or over it."""


def session_factory(settings: Mapping[str, Any]) -> Any | None:
    """Return the session factory that `settings` name; None where they name none.

    `settings`: the app's, .ini strings. Raises `ConfigurationError`.
    """
    name = str(settings.get(FACTORY_KEY) or "").strip()
    return resolve(FACTORY_KEY, name)(settings) if name else None


def _check_store(event: ApplicationCreated) -> None:
    factory = server_factory(event.app.registry)
    if factory is None:
        return
    try:
        said = factory.store.remark()
    except StoreError as exc:
        log.warning("Session store: could not be checked at start: %s", exc)
    else:
        if said:
            log.error("Session store: %s", said)
    finally:
        factory.store.close()  # a server that forks after this must not share what was opened


def _prevent_caching(event: NewResponse) -> None:
    session = event.request.__dict__.get("session")  # not request.session: that would open one
    # Ours see to it themselves, later.
    if session is not None and not ISavedSession.providedBy(session):
        prevent_caching(event.response)


def _warn_of_toolbar(event: ApplicationCreated) -> None:
    registry = event.app.registry
    tweens = registry.queryUtility(ITweens)
    if server_factory(registry) is not None and any(
        name.startswith("pyramid_debugtoolbar") for name, _ in (tweens.implicit() if tweens else ())
    ):
        log.warning(
            "pyramid_debugtoolbar shows the sessions of all visitors, and runs commands: remove it "
            "from an app that others can reach"
        )


def _warn_of_another(event: ApplicationCreated) -> None:
    registry = event.app.registry
    factory = registry.queryUtility(ISessionFactory)
    if factory is not registry[_NAMED] and server_factory(registry) is None:
        log.warning(
            "%s = %s is not used, since the app sets another session factory: take "
            "session_factory=… out of the Configurator's arguments, or config.set_session_factory",
            FACTORY_KEY,
            registry.settings[FACTORY_KEY],
        )


def includeme(config: Configurator) -> None:
    """Give an app its sessions: `config.include("sessionsite.sessions")`.

    Sets the session factory that `sessionsite.session_factory` names, if it names one. Sessions are
    saved around the app's execution policy, requests get `session_store`, the log's records
    `request_id` and `session_id`, and each process that serves starts a pruner. Raises
    `ConfigurationError`.
    """
    install_log_context()
    factory = session_factory(config.registry.settings)
    if factory is not None:
        config.set_session_factory(factory)
        # Pyramid prefers what `main` sets to what an include sets, and tells nobody.
        config.registry[_NAMED] = factory
        config.add_subscriber(_warn_of_another, ApplicationCreated)
    config.add_subscriber(_warn_of_toolbar, ApplicationCreated)
    config.add_subscriber(_check_store, ApplicationCreated)
    config.add_subscriber(give_session_store, ApplicationCreated)
    # It also starts the pruner, for any factory that provides IServerSessionFactory.
    config.include(".policy")
    config.add_tween(SAVE_TWEEN, under=INGRESS, over=["pyramid_tm.tm_tween_factory", EXCVIEW])
    config.add_subscriber(_prevent_caching, NewResponse)
