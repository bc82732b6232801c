"""The server factory beyond its contract: what it is made of."""

from typing import Any

import pytest

from sessionsite.sessions import MemoryStore, ServerSessionFactory, SessionStore
from sessionsite.sessions.settings import ServerSettings

SETTINGS = ServerSettings(secrets=("x" * 32,))


def test_what_is_no_store_is_refused_at_once() -> None:
    nothing: Any = object()
    with pytest.raises(TypeError, match="object is no SessionStore, it lacks close, count_expired"):
        ServerSessionFactory(nothing, SETTINGS)


@pytest.mark.parametrize("name", [n for n in dir(SessionStore) if not n.startswith("_")])
def test_a_store_that_lacks_one_thing_is_told_which(name: str) -> None:
    names = [n for n in dir(SessionStore) if not n.startswith("_") and n != name]
    lacking = type("Lacking", (), {each: getattr(MemoryStore, each) for each in names})()
    with pytest.raises(TypeError, match=f"Lacking is no SessionStore, it lacks {name}: inherit"):
        ServerSessionFactory(lacking, SETTINGS)
