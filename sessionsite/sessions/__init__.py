"""Web sessions for Pyramid: `config.include("sessionsite.sessions")` and a few .ini keys.

`sessionsite.session_factory` names a callable `(settings) -> ISessionFactory`. Ours are
`sessionsite.sessions.server.session_factory_from_settings` and
`sessionsite.sessions.cookie.session_factory_from_settings`. The folder needs nothing outside
itself: copy it into an app of your own, under any name. What a store of your own needs is here;
the SQL store is in `sessionsite.sessions.sql`, and nothing else loads a database driver.

Public are the names in `__all__` here, in `sessionsite.sessions.sql`, `sessionsite.testing` and
`sessionsite.metrics`, and the dotted names that the docs put into .ini files. All other modules are
private, whatever they and the names in them are called, and may change with any release.
"""

from .all_sessions import AllSessions, all_sessions
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
from .including import FACTORY_KEY, SAVE_TWEEN, includeme, session_factory
from .ini import ConfigurationError, expand_environment
from .interfaces import (
    IDescribedSessionFactory,
    ISavedSession,
    IServerSessionFactory,
    IStoredSession,
    ping,
    remark,
    server_factory,
)
from .log_context import logging_for
from .login import LoginHelper, login, logout
from .memory import MemoryStore
from .own import RESERVED_OWNER
from .owner_store import OwnerStore, SessionCounts, SessionSummary
from .payload import PayloadError, stored_as
from .pruner import PRUNE_BATCH, note_sweep, prune_all
from .server.factory import ServerSessionFactory
from .server.session import ServerSession
from .settings import CookieSettings, ServerSettings, server_settings
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
    StoreBusyError,
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
    "CookieSettings",
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
    "Record",
    "RecordExistsError",
    "ServerSession",
    "ServerSessionFactory",
    "ServerSettings",
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
    "StoreBusyError",
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
