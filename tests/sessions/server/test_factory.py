"""The server factory beyond its contract: what it is made of."""

from typing import Any

import pytest

from sessionsite.sessions import MemoryStore, ServerSessionFactory, SessionStore, StoreError
from sessionsite.sessions.settings import ServerSettings
from tests.harness.postgres import Postgres
from tests.harness.stores import sql_store

SETTINGS = ServerSettings(secrets=("x" * 32,))


def test_what_is_no_store_is_refused_at_once() -> None:
    nothing: Any = object()
    with pytest.raises(TypeError, match="object is no SessionStore, it lacks close, connections"):
        ServerSessionFactory(nothing, SETTINGS)


@pytest.mark.parametrize("name", [n for n in dir(SessionStore) if not n.startswith("_")])
def test_a_store_that_lacks_one_thing_is_told_which(name: str) -> None:
    names = [n for n in dir(SessionStore) if not n.startswith("_") and n != name]
    lacking = type("Lacking", (), {each: getattr(MemoryStore, each) for each in names})()
    with pytest.raises(TypeError, match=f"Lacking is no SessionStore, it lacks {name}: inherit"):
        ServerSessionFactory(lacking, SETTINGS)


def test_a_role_that_may_only_read_does_not_answer_a_ping(
    postgres: Postgres, postgres_url: str
) -> None:
    store = sql_store(postgres_url)
    ServerSessionFactory(store, SETTINGS).ping()
    with postgres.connect(postgres_url) as admin:
        admin.execute("CREATE ROLE reader")
        admin.execute("GRANT SELECT ON sessions TO reader")
    try:
        reader = sql_store(f"{postgres_url}?options=-c%20role%3Dreader", create_table=False)
        reader.load("", ServerSessionFactory(store, SETTINGS).now())
        with pytest.raises(StoreError, match="permission denied"):
            ServerSessionFactory(reader, SETTINGS).ping()
        reader.close()
    finally:
        with postgres.connect(postgres_url) as admin:
            admin.execute("DROP OWNED BY reader")
            admin.execute("DROP ROLE reader")
        store.close()
