"""The server factory's door: sessions in a store, found by a signed id and token in the cookie."""

from .from_settings import session_factory_from_settings, store_from_settings

__all__ = ["session_factory_from_settings", "store_from_settings"]
