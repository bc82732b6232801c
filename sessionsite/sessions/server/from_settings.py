"""The server factory, and its store, as the .ini keys describe them."""

from collections.abc import Mapping
from typing import Any

from ..ini import ConfigurationError, resolve
from ..owner_store import OwnerStore
from ..settings import server_settings
from ..sql_settings import PREFIX
from ..store import SessionStore, check_store
from .factory import ServerSessionFactory
from .old_factory import old_factory


def session_factory_from_settings(settings: Mapping[str, Any]) -> ServerSessionFactory:
    """Return the server factory that the `session.*` keys of `settings` describe.

    Raises `ConfigurationError`; with `session.sql.create_table` also `StoreError`.
    """
    server = server_settings(settings)
    store = store_from_settings(settings)
    if server.max_per_owner is not None and not isinstance(store, OwnerStore):
        raise ConfigurationError(
            f"{PREFIX}max_per_owner: {type(store).__name__} finds no sessions by their owner, so "
            "they can't be counted: inherit from OwnerStore, or remove the key"
        )
    return ServerSessionFactory(store, server, old=old_factory(settings, server))


def store_from_settings(settings: Mapping[str, Any]) -> SessionStore:
    """Return the store that `settings` name in `session.store`; unset, the SQL store.

    Looks at the store's own keys alone, so that a command needs no secret. Raises
    `ConfigurationError`; with `session.sql.create_table` also `StoreError`.
    """
    key = f"{PREFIX}store"
    name = str(settings.get(key) or "").strip()
    if name and name != "none":
        store: SessionStore = resolve(key, name)(settings)
        try:
            check_store(store)
        except TypeError as exc:
            raise ConfigurationError(f"{key} = {name!r}: {exc}") from None
        return store
    from ..sql import store_from_settings as sql_store  # a store of your own needs no SQLAlchemy

    return sql_store(settings)
