"""Server factories that break one promise each; as a plugin it runs every test on each of them.

`pytest -p tests.contract.broken.factories tests/contract/test_server_tokens.py` fails at least one
test per fault, and none with `sound`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from sessionsite.sessions import Record
from sessionsite.sessions.server import conflict, factory, saving
from sessionsite.sessions.server.expiry import Expiry
from sessionsite.sessions.server.factory import Found, ServerSessionFactory
from sessionsite.sessions.server.saving import SessionRow
from sessionsite.sessions.server.standing import Standing, standing
from sessionsite.sessions.server.token_cookie import (
    Credentials,
    TokenCookie,
    hash_token,
    new_token,
    same_hash,
)

Patch = pytest.MonkeyPatch
Judge = Callable[[Record, bytes, Expiry, datetime], Standing]


def judging(judge: Judge) -> Callable[[Patch], None]:
    """A factory that asks `judge` what a token is to a session."""
    return lambda patch: patch.setattr(factory, "standing", judge)


def open_old(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    if same_hash(record.old_token_hash, token_hash):
        return Standing.OLD
    return standing(record, token_hash, expiry, now)


def open_older(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    found = standing(record, token_hash, expiry, now)
    if found.opens or same_hash(record.old_token_hash, token_hash):
        return found
    return Standing.OLD


def prefer_old(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    swapped = replace(
        record,
        token_hash=record.old_token_hash or record.token_hash,
        old_token_hash=record.token_hash,
    )
    return standing(swapped, token_hash, expiry, now)


def forget_old(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    return standing(replace(record, old_token_hash=None), token_hash, expiry, now)


def silent(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    found = standing(record, token_hash, expiry, now)
    return Standing.LOST if found is Standing.REUSED else found


def alarmed(record: Record, token_hash: bytes, expiry: Expiry, now: datetime) -> Standing:
    return standing(replace(record, token_confirmed=True), token_hash, expiry, now)


def open_expired(patch: Patch) -> None:
    """A row that has expired is found, and opened, by the token before its last one."""
    find = ServerSessionFactory._find

    def found(self: Any, credentials: Credentials, now: datetime) -> Found | None:
        record = self.store._records.get(credentials.id)
        old = record and same_hash(record.old_token_hash, hash_token(credentials.token))
        if old and record.expired(now):
            alive = find(self, credentials, record.created_at)
            return alive and replace(alive, standing=Standing.OLD)
        return find(self, credentials, now)

    patch.setattr(ServerSessionFactory, "_find", found)


def open_any_row(patch: Patch) -> None:
    find = ServerSessionFactory._find

    def found(self: Any, credentials: Credentials, now: datetime) -> Found | None:
        load = self.store.load

        def as_asked(id: str, now: datetime) -> Record | None:
            record: Record | None = load(id, now)
            return record and replace(record, id=id)

        self.store.load = as_asked
        try:
            return find(self, credentials, now)
        finally:
            self.store.load = load

    patch.setattr(ServerSessionFactory, "_find", found)


def adopt(patch: Patch) -> None:
    open_ = ServerSessionFactory._open

    def opened(self: Any, request: Any, tell: Any, asked: Any) -> Any:
        session = open_(self, request, tell, asked)
        if session.new and (presented := self.cookie.read(request)):
            session._row.id = presented[0].id
            tokens = [presented[0].token]
            patch.setattr(saving, "new_token", lambda: tokens.pop() if tokens else new_token())
        return session

    patch.setattr(ServerSessionFactory, "_open", opened)


def first_cookie(patch: Patch) -> None:
    read = TokenCookie.read
    patch.setattr(TokenCookie, "read", lambda self, request: read(self, request)[:1])


def leave_the_cookie(patch: Patch) -> None:
    answer = TokenCookie.answer

    def answered(self: Any, request: Any, response: Any, what: Any) -> None:
        answer(self, request, response, None if what == "end" else what)

    patch.setattr(TokenCookie, "answer", answered)


def leave_the_row(patch: Patch) -> None:
    end = SessionRow.end

    def ended(self: Any) -> None:
        end(self)
        self.ended = None

    patch.setattr(SessionRow, "end", ended)


def clear_for_the_second(patch: Patch) -> None:
    delete = SessionRow._delete_ended

    def deleted(self: Any) -> None:
        asked = self.ended is not None
        delete(self)
        if asked:
            self.spent, self.answer = False, "end"

    patch.setattr(SessionRow, "_delete_ended", deleted)


def setting(owner: Any, name: str, value: Any) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


SOUND = "sound"
FAULTS: dict[str, Callable[[Patch], None]] = {
    SOUND: lambda patch: None,
    "a token two rotations old still opens": judging(open_older),
    "the old token opens for good": judging(open_old),
    "the old hash is preferred": judging(prefer_old),
    "the old hash is forgotten": judging(forget_old),
    "no token is compared": judging(lambda *_: Standing.CURRENT),
    "a token that comes back is no alarm": judging(silent),
    "a lost answer is an alarm": judging(alarmed),
    "an expired row is found by its old hash": open_expired,
    "another visitor's row is opened": open_any_row,
    "a token without a row is adopted": adopt,
    "only the first cookie is read": first_cookie,
    "regenerate keeps the token": setting(SessionRow, "rotate", lambda self: None),
    "invalidate leaves the cookie": leave_the_cookie,
    "invalidate leaves the row": leave_the_row,
    "a second logout clears the cookie": clear_for_the_second,
    "the grace never ends": setting(Expiry, "just_rotated", lambda *_: True),
    "there is no grace": setting(Expiry, "just_rotated", lambda *_: False),
    "no token is renewed": setting(Expiry, "renewal_is_due", lambda *_: False),
    "the end is never pushed": setting(
        Expiry, "next_end", lambda self, record, *_, **__: record.expires_at
    ),
    "a lowered lifetime is not seen": setting(Expiry, "is_over", lambda *_: False),
    "ours wins a merge": setting(conflict, "merge_texts", lambda base, ours, theirs: ours),
    "theirs wins a merge": setting(conflict, "merge_texts", lambda base, ours, theirs: theirs),
}


@pytest.fixture(autouse=True, params=FAULTS)
def _fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[request.param](monkeypatch)
