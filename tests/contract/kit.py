"""A session factory to test, with its clock and a way to make it with other settings."""

from typing import Any

import pytest
from pyramid.request import Request

from sessionsite.sessions import login
from sessionsite.sessions.cookie import CookieSessionFactory
from sessionsite.sessions.server.factory import ServerSessionFactory
from sessionsite.sessions.settings import cookie_settings, server_settings
from sessionsite.sessions.store import Record
from sessionsite.testing import OwnerContract
from tests.harness.stores import sql_store
from tests.harness.visitor import Clock, Factory, Visitor

SECRET = "a-secret-for-tests-that-is-long-enough"
FACTORIES = (
    "cookie",
    "memory",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.servers),
    pytest.param("valkey", marks=[pytest.mark.servers, pytest.mark.all]),
)


class Kit:
    """One kind of factory, the clock that it goes by, and what it was made with."""

    def __init__(self, kind: str, clock: Clock, store: Any) -> None:
        self.kind = kind
        self.clock = clock
        self.store = store

    @property
    def on_a_server(self) -> bool:
        return self.kind != "cookie"

    def factory(self, **settings: str) -> Factory:
        values = {"secret": SECRET, "secure": "true"} | settings
        keys = {f"session.{k.replace('sql_', 'sql.')}": v for k, v in values.items()}
        if not self.on_a_server:
            return CookieSessionFactory(cookie_settings(keys), now=self.clock)
        if self.kind != "valkey":
            keys["session.sqlalchemy.url"] = "sqlite:///unused"
        return ServerSessionFactory(self.store, server_settings(keys), now=self.clock)

    def visitor(self, **settings: str) -> Visitor:
        return Visitor(self.factory(**settings))


# For what only the server factory promises.
on_servers = pytest.mark.parametrize("kit", FACTORIES[1:], indirect=True)


def data_of(visitor: Visitor) -> dict[str, Any]:
    with visitor.request() as session:
        return dict(session)


def begin(kit: Kit, data: dict[str, Any] | None = None, **settings: str) -> Visitor:
    """A visitor with a stored session."""
    visitor = kit.visitor(**settings)
    with visitor.request() as session:
        session.update(data or {"a": 1})
    return visitor


def log_in(
    visitor: Visitor, owner: str, lifetime: int | None = None, *, label: str | None = None
) -> Request:
    """One request that logs in, answered; return it."""
    request = visitor.open()
    if label is not None:
        request.session.label = label
    login(request, owner, lifetime)
    visitor.close(request)
    return request


def stored(kit: Kit, visitor: Visitor) -> Record | None:
    """The visitor's row, found as the factory finds it."""
    factory: Any = visitor.factory
    (credentials,) = factory.cookie.read(visitor.open())
    record: Record | None = kit.store.load(credentials.id, kit.clock.now)
    return record


def version(kit: Kit, visitor: Visitor) -> int:
    record = stored(kit, visitor)
    assert record is not None
    return record.version


NOT_HERE: Any = None  # pytest collects no None


class SQLContract(OwnerContract):
    """The contract on a database."""

    url: str

    def second_store(self, store: Any) -> Any:
        return sql_store(self.url, create_table=False)
