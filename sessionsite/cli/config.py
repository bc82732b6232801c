"""From the .ini file to an open store: all that the commands know of `sessionsite.sessions`."""

import configparser
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import plaster

from ..refusal import why_uninterpolated
from ..secret_file import with_secret
from ..sessions import (
    FACTORY_KEY,
    ConfigurationError,
    IServerSessionFactory,
    SessionStore,
    expand_environment,
    session_factory,
)
from ..sessions.server import store_from_settings
from ..sessions.sql_settings import PREFIX, SQL_SECTIONS

SERVER_FACTORY = "sessionsite.sessions.server.session_factory_from_settings"
AUDIT, EVENTS = "sessionsite.sessions.audit", "sessionsite.sessions.events"
# The keys that say which store it is, and where; they hold no secret that signs.
STORE_KEYS = tuple(f"{PREFIX}{each}" for each in ("store", *SQL_SECTIONS))


def read_settings(config_uri: str) -> dict[str, str]:
    """Return the [app:main] section of an .ini file, as it is written.

    Raises `ConfigurationError`, in one line that shows no value.
    """
    try:
        loader = plaster.get_loader(config_uri, protocols=["wsgi"])
        settings: dict[str, str] = loader.get_wsgi_app_settings()
    except configparser.InterpolationError as exc:
        reason = why_uninterpolated(exc)
    except configparser.Error as exc:
        reason = exc.message
    except (plaster.PlasterError, LookupError, ImportError, UnicodeError, OSError) as exc:
        reason = str(exc)
    else:
        return settings
    raise ConfigurationError(f"{config_uri} can't be read: {reason}")


def keep_audit(config_uri: str) -> None:
    """Log what the command ends where the .ini file has the audit log go, if it has it go anywhere.

    Raises `ConfigurationError`.
    """
    loader = plaster.get_loader(config_uri, protocols=["wsgi"])
    names = loader.get_settings("loggers").get("keys", "").split(",")
    loggers = [loader.get_settings(f"logger_{name.strip()}") for name in names]
    if any(each.get("qualname") == AUDIT and each.get("handlers") for each in loggers):
        try:
            loader.setup_logging()
        except Exception as exc:  # of any handler's class
            raise ConfigurationError(
                f"{config_uri} has an audit log that can't be kept: {exc}"
            ) from exc
        logging.getLogger(EVENTS).setLevel(logging.WARNING)  # the command says how many have ended


@contextmanager
def open_store(config_uri: str) -> Iterator[SessionStore]:
    """Give the store that an .ini file describes, and close its connections afterwards.

    With the server factory only the store's own keys are read, so that a command needs no secret;
    another factory that provides `IServerSessionFactory` is made as the app makes it.
    Raises `ConfigurationError`, also for a factory whose sessions are in no store.
    """
    settings = read_settings(config_uri)
    if settings.get(FACTORY_KEY) == SERVER_FACTORY:
        # The table is created by `init-db` alone, whatever the app does at its start.
        keys = {k: v for k, v in settings.items() if k.startswith(STORE_KEYS)}
        store = store_from_settings(
            expand_environment(keys) | {"session.sql.create_table": "false"}
        )
    else:
        factory = session_factory(with_secret(expand_environment(settings)))
        if factory is None or not IServerSessionFactory.providedBy(factory):
            raise ConfigurationError(
                f"{config_uri} keeps its sessions in no store: {FACTORY_KEY} is not "
                f"{SERVER_FACTORY}, nor another factory that provides IServerSessionFactory"
            )
        store = factory.store
    try:
        yield store
    finally:
        store.close()
