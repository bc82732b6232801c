"""A store that answers with another row: the factory compares, and opens nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from pyramid.request import Request

from sessionsite.sessions import MemoryStore, Record, ServerSessionFactory
from sessionsite.sessions.server.token_cookie import Credentials, hash_token
from sessionsite.sessions.settings import ServerSettings
from sessionsite.testing import START, record

TOKEN, THEIRS = b"t" * 32, b"u" * 32
MINE = replace(record("a"), token_hash=hash_token(TOKEN), payload='{"mine": 1}')
OTHER = replace(record("b"), token_hash=hash_token(THEIRS), payload='{"theirs": 1}')
ROTATED: Any = {"rotated_at": START, "old_token_valid": True}


class Confused(MemoryStore):
    """Answers every `load` with the same row."""

    answer: Record

    def load(self, id: str, now: datetime) -> Record:
        return self.answer


@pytest.fixture
def open_with() -> Callable[[Record], Any]:
    """The session that a visitor gets whose row is `MINE`, from a store that has this answer."""

    def open_with(answer: Record) -> Any:
        store = Confused()
        store.answer = answer
        factory = ServerSessionFactory(
            store, ServerSettings(secrets=("x" * 32,)), now=lambda: START
        )
        value = factory.cookie._signer.dumps(Credentials(MINE.id, TOKEN)).decode()
        request = Request.blank("/", headers={"Cookie": f"sessionsite={value}"})
        return factory(request)

    return open_with


def test_the_right_row_opens_the_session(open_with: Callable[[Record], Any]) -> None:
    assert dict(open_with(MINE)) == {"mine": 1}
    old = replace(MINE, token_hash=b"new", old_token_hash=MINE.token_hash, **ROTATED)
    assert dict(open_with(old)) == {"mine": 1}


@pytest.mark.parametrize(
    "answer",
    [
        OTHER,
        replace(OTHER, id=MINE.id),
        replace(OTHER, token_hash=MINE.token_hash),
        replace(OTHER, old_token_hash=MINE.token_hash, **ROTATED),
        replace(OTHER, id=MINE.id, old_token_hash=hash_token(b"v" * 32), **ROTATED),
        replace(OTHER, id=MINE.id, old_token_hash=MINE.token_hash, rotated_at=START),
        replace(OTHER, id=MINE.id, token_hash=b""),
    ],
    ids=[
        "another row", "its token", "its id", "its id, old token", "its tokens", "a replaced one",
        "no token",
    ],
)  # fmt: skip
def test_any_other_opens_nothing(open_with: Callable[[Record], Any], answer: Record) -> None:
    session = open_with(answer)
    assert dict(session) == {}
    assert session.new
