"""A store of an app's own, as `session.store` names it, and a factory written around ours."""

from collections.abc import Mapping
from typing import Any

from pyramid.request import Request
from zope.interface import implementer

from sessionsite.sessions import (
    ConfigurationError,
    IServerSessionFactory,
    MemoryStore,
    ServerSessionFactory,
    SessionStore,
    StoreError,
    server_settings,
)

STORES: dict[str, "NamedStore"] = {}


class NamedStore(MemoryStore):
    """Outlives the app that made it, as a store outside the process would."""

    where = "in a store of the test's own"
    is_away = False
    closed = 0

    def load(self, id: str, now: Any) -> Any:
        if self.is_away:
            raise StoreError("the store is away")
        return super().load(id, now)

    def close(self) -> None:
        self.closed += 1


class KeyAndValue(SessionStore):
    """A store that keeps each row by its id, and finds none by its owner."""

    create: Any = NotImplemented
    load: Any = NotImplemented
    save: Any = NotImplemented
    update: Any = NotImplemented
    delete: Any = NotImplemented
    prune: Any = NotImplemented

    def __init__(self) -> None:
        store = MemoryStore()
        for name in ("create", "load", "save", "update", "delete", "prune"):
            setattr(self, name, getattr(store, name))


def key_and_value(settings: Mapping[str, Any]) -> KeyAndValue:
    return KeyAndValue()


def away(settings: Mapping[str, Any]) -> KeyAndValue:
    store = KeyAndValue()

    def load(id: str, now: Any) -> None:
        raise StoreError("away")

    store.load = load
    return store


def remarkable(settings: Mapping[str, Any]) -> KeyAndValue:
    store = KeyAndValue()
    store.remark = lambda: "it is full"  # type: ignore[method-assign]
    return store


def store_from_settings(settings: Mapping[str, Any]) -> NamedStore:
    name = settings.get("session.store.name")
    if not name:
        raise ConfigurationError("session.store.name: is required: give a name")
    return STORES.setdefault(name, NamedStore())


def no_store(settings: Mapping[str, Any]) -> object:
    return object()


@implementer(IServerSessionFactory)
class Wrapper:
    """Not of our class, and of no class that ours knows."""

    def __init__(self, factory: ServerSessionFactory) -> None:
        self._factory = factory
        self.store, self.now, self.ping = factory.store, factory.now, factory.ping
        self.prune_interval, self.description = factory.prune_interval, factory.description

    def __call__(self, request: Request) -> Any:
        return self._factory(request)


def wrapper_from_settings(settings: Mapping[str, Any]) -> Wrapper:
    store = STORES.setdefault(settings["session.mine.name"], NamedStore())
    return Wrapper(ServerSessionFactory(store, server_settings(settings, own=["mine."])))
