"""From the .ini file to an open store: all that the commands know of `sessionsite.sessions`."""

import configparser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import plaster

from ..sessions import FACTORY_KEY
from ..sessions.configuration import ConfigurationError, expand_environment
from ..sessions.server import utc_now
from ..sessions.settings import SQL_PREFIXES, sql_settings
from ..sessions.sql import SQLAlchemyStore, store_from_settings
from ..sessions.store import StoreError
from ..sessions.sweeper import BATCH, prune_all
from ..sessions.table import create_table

__all__ = [
    "BATCH",
    "ConfigurationError",
    "StoreError",
    "create_table",
    "open_store",
    "prune_all",
    "read_settings",
    "utc_now",
]

SERVER_FACTORY = "sessionsite.sessions.server.session_factory_from_settings"


def read_settings(config_uri: str) -> dict[str, str]:
    """Return the [app:main] section of an .ini file, as it is written.

    Raises `ConfigurationError`, in one line that shows no value.
    """
    try:
        loader = plaster.get_loader(config_uri, protocols=["wsgi"])
        settings: dict[str, str] = loader.get_wsgi_app_settings()
    except configparser.InterpolationError as exc:
        # The error's own text quotes the value, which may be a password.
        reason = f"[{exc.section}] {exc.option}: a % must be doubled, or name a variable in %(...)s"
    except configparser.Error as exc:
        reason = exc.message
    except (plaster.PlasterError, LookupError, ImportError, UnicodeError, OSError) as exc:
        reason = str(exc)
    else:
        return settings
    raise ConfigurationError(f"{config_uri} can't be read: {reason}")


@contextmanager
def open_store(config_uri: str) -> Iterator[SQLAlchemyStore]:
    """Give the store that an .ini file describes, and close its connections afterwards.

    Only the keys that say where the table is are read, so a command needs no secret.
    Raises `ConfigurationError`, also where the session factory is not the server factory.
    """
    settings = read_settings(config_uri)
    if settings.get(FACTORY_KEY) != SERVER_FACTORY:
        raise ConfigurationError(
            f"{config_uri} keeps its sessions in no table: {FACTORY_KEY} is not {SERVER_FACTORY}"
        )
    sql = sql_settings(
        expand_environment({k: v for k, v in settings.items() if k.startswith(SQL_PREFIXES)})
    )
    store = store_from_settings(replace(sql, create_table=False))
    try:
        yield store
    finally:
        store.engine.dispose()
