"""The door of the store on Valkey or Redis: a server, or a cluster. Needs the extra `valkey`."""

from .from_settings import session_factory_from_settings, store_from_settings
from .settings import ValkeySettings, valkey_settings
from .store import ValkeyStore

__all__ = [
    "ValkeySettings",
    "ValkeyStore",
    "session_factory_from_settings",
    "store_from_settings",
    "valkey_settings",
]
