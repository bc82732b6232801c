"""The store on Valkey or Redis, and the server factory over it, as the .ini keys describe them."""

from collections.abc import Mapping
from typing import Any

from ..server.factory import ServerSessionFactory
from ..server.old_factory import old_factory
from ..settings import server_settings
from .settings import SECTION, valkey_settings
from .store import ValkeyStore


def session_factory_from_settings(settings: Mapping[str, Any]) -> ServerSessionFactory:
    """Return the server factory, on Valkey or Redis, that the `session.*` keys describe.

    Asks no server. Raises `ConfigurationError`.
    """
    server = server_settings(settings, own=(SECTION,))
    store = store_from_settings(settings)
    return ServerSessionFactory(store, server, old=old_factory(settings, server))


def store_from_settings(settings: Mapping[str, Any]) -> ValkeyStore:
    """Return the store that `session.valkey.*` describes. Raises `ConfigurationError`."""
    return ValkeyStore(valkey_settings(settings))
