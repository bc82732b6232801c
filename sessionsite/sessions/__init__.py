"""Web sessions for Pyramid: `config.include("sessionsite.sessions")` and a few .ini keys.

`sessionsite.session_factory` names a callable `(settings) -> ISessionFactory`. Ours are
`sessionsite.sessions.server.session_factory_from_settings` and
`sessionsite.sessions.cookie.session_factory_from_settings`. The folder needs nothing outside
itself: copy it into an app of your own, under any name. What a store of your own needs is here;
the SQL store is in `sessionsite.sessions.sql`, and nothing else loads a database driver.
"""

import logging
from collections.abc import Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.interfaces import ITweens
from pyramid.registry import Registry
from pyramid.tweens import EXCVIEW, INGRESS

from .all_sessions import AllSessions, all_sessions, give_session_store
from .description import SessionDescription, describe
from .error_page import RETRY_AFTER
from .events import (
    EndReason,
    SessionCreated,
    SessionEnded,
    SessionEvent,
    SessionMerged,
    SessionRotated,
    StoreBack,
    StoreUnavailable,
)
from .ini import ConfigurationError, expand_environment, resolve
from .interfaces import (
    IDescribedSessionFactory,
    ISavedSession,
    IServerSessionFactory,
    IStoredSession,
    server_factory,
)
from .log_context import install as install_log_context
from .log_context import logging_for
from .login import LoginHelper, login, logout
from .memory import MemoryStore
from .own import RESERVED_OWNER
from .owner_store import OwnerStore, SessionCounts, SessionSummary
from .payload import PayloadError, stored_as
from .pruner import PRUNE_BATCH, Pruner, note_sweep, prune_all
from .response import prevent_caching
from .server.factory import ServerSessionFactory
from .server.session import ServerSession
from .settings import server_settings
from .store import (
    Connections,
    HeadersSentError,
    MalformedRecordError,
    MergeTooLargeError,
    Record,
    RecordExistsError,
    SessionEndedError,
    SessionLimitError,
    SessionStore,
    StoreError,
    Sweep,
    utc_now,
)

__all__ = [
    "FACTORY_KEY",
    "PRUNE_BATCH",
    "RESERVED_OWNER",
    "RETRY_AFTER",
    "SAVE_TWEEN",
    "AllSessions",
    "ConfigurationError",
    "Connections",
    "EndReason",
    "HeadersSentError",
    "IDescribedSessionFactory",
    "ISavedSession",
    "IServerSessionFactory",
    "IStoredSession",
    "LoginHelper",
    "MalformedRecordError",
    "MemoryStore",
    "MergeTooLargeError",
    "OwnerStore",
    "PayloadError",
    "Pruner",
    "Record",
    "RecordExistsError",
    "ServerSession",
    "ServerSessionFactory",
    "SessionCounts",
    "SessionCreated",
    "SessionDescription",
    "SessionEnded",
    "SessionEndedError",
    "SessionEvent",
    "SessionLimitError",
    "SessionMerged",
    "SessionRotated",
    "SessionStore",
    "SessionSummary",
    "StoreBack",
    "StoreError",
    "StoreUnavailable",
    "Sweep",
    "all_sessions",
    "describe",
    "expand_environment",
    "includeme",
    "logging_for",
    "login",
    "logout",
    "note_sweep",
    "ping",
    "prune_all",
    "remark",
    "server_factory",
    "server_settings",
    "session_factory",
    "stored_as",
    "utc_now",
]

log = logging.getLogger(__name__)

FACTORY_KEY = "sessionsite.session_factory"
SAVE_TWEEN = f"{__name__}.tween.save_tween_factory"


def session_factory(settings: Mapping[str, Any]) -> Any | None:
    """Return the session factory that `settings` name; None where they name none.

    Raises `ConfigurationError`.
    """
    name = str(settings.get(FACTORY_KEY) or "").strip()
    return resolve(FACTORY_KEY, name)(settings) if name else None


def ping(registry: Registry, *, deep: bool = True) -> None:
    """Raise `StoreError` unless the store of the app's session factory answers.

    `deep`: whether it is written as well; otherwise it is read. A factory that has no
    `SessionStore` is not asked.
    """
    factory = server_factory(registry)
    if factory is None:
        return
    if deep:
        factory.ping()
    else:
        factory.store.load("", factory.now())


def remark(registry: Registry) -> str | None:
    """Return what is wrong with the store though it answers, for an operator; or None.

    Raises `StoreError`.
    """
    factory = server_factory(registry)
    said: str | None = None if factory is None else factory.store.remark()
    return said


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


def includeme(config: Configurator) -> None:
    install_log_context()
    factory = session_factory(config.registry.settings)
    if factory is not None:
        config.set_session_factory(factory)
    config.add_subscriber(_warn_of_toolbar, ApplicationCreated)
    config.add_subscriber(_check_store, ApplicationCreated)
    config.add_subscriber(give_session_store, ApplicationCreated)
    # It also starts the pruner, for any factory that provides IServerSessionFactory.
    config.include(".policy")
    config.add_tween(SAVE_TWEEN, under=INGRESS, over=["pyramid_tm.tm_tween_factory", EXCVIEW])
    config.add_subscriber(_prevent_caching, NewResponse)
