"""Another request saves first, on every store: what a conflict costs, and what waits for it."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from sessionsite.sessions.payload import dumps, loads
from sessionsite.sessions.server import conflict
from sessionsite.sessions.server.merge import merge_texts
from sessionsite.sessions.store import MergeTooLargeError, Record, SessionStore
from tests.contract.kit import Kit, begin, data_of, on_servers, stored
from tests.harness.visitor import Visitor

pytestmark = on_servers
TRIES = conflict.TRIES


class Rivals(SessionStore):
    """The store, with another request that writes before each of the next `left` writes."""

    def __init__(self, store: SessionStore) -> None:
        self.store = store
        self.calls: list[str] = []
        self.left = 0
        self.locked = False

    def _rival(self, id: str, now: Any) -> None:
        if self.left:
            self.left -= 1
            data = loads(self.store.load(id, now).payload)  # type: ignore[union-attr]
            data["log"].append("theirs")
            self.store.update(
                id,
                now,
                lambda row: row.saved(dumps(data), now, row.expires_at, row.token_confirmed),
            )

    def create(self, record: Record) -> None:
        self.store.create(record)

    def delete(self, id: str) -> bool:
        return self.store.delete(id)

    def prune(self, now: Any, limit: int) -> int:
        return self.store.prune(now, limit)

    def load(self, id: str, now: Any) -> Record | None:
        self.calls.append("load")
        return self.store.load(id, now)

    def save(self, record: Record, expected_version: int, now: Any) -> bool:
        self.calls.append("save")
        self._rival(record.id, now)
        return self.store.save(record, expected_version, now)

    def update(self, id: str, now: Any, change: Callable[[Record], Record | None]) -> Record | None:
        self.calls.append("update")
        self._rival(id, now)

        def under_lock(newest: Record) -> Record | None:
            self.locked = True
            try:
                return change(newest)
            finally:
                self.locked = False

        return self.store.update(id, now, under_lock)


@pytest.fixture
def rivals(kit: Kit) -> Rivals:
    kit.store = store = Rivals(kit.store)
    return store


@pytest.fixture
def under_lock(rivals: Rivals, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each merge of texts, whether the row was locked."""
    seen: list[bool] = []

    def noted(base: str, ours: str, theirs: str) -> str:
        seen.append(rivals.locked)
        return merge_texts(base, ours, theirs)

    monkeypatch.setattr(conflict, "merge_texts", noted)
    return seen


def test_a_conflict_costs_one_load_and_one_save(
    kit: Kit, rivals: Rivals, under_lock: list[bool]
) -> None:
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    request.session["log"].append("ours")
    rivals.calls, rivals.left = [], 1
    visitor.close(request)
    assert rivals.calls == ["save", "load", "save"]
    assert under_lock == [False]
    assert request.session["log"] == data_of(visitor)["log"] == ["ours", "theirs"]


def test_one_that_others_outrun_again_and_again_is_stored_under_the_lock(
    kit: Kit, rivals: Rivals, under_lock: list[bool]
) -> None:
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    request.session["log"].append("ours")
    rivals.calls, rivals.left = [], 99
    visitor.close(request)
    rivals.left = 0
    assert rivals.calls == ["save", *["load", "save"] * TRIES, "update"]
    assert under_lock == [False] * TRIES + [True]
    assert data_of(visitor)["log"] == ["ours", *["theirs"] * (TRIES + 2)]


def regenerate(session: Any) -> None:
    session.regenerate()


def count(session: Any) -> None:
    def change(session: Any) -> None:
        session["n"] = session.get("n", 0) + 1

    session.transact(change)


@pytest.mark.parametrize("work", [regenerate, count])
def test_a_transaction_and_a_new_token_do_not_merge_under_the_lock(
    kit: Kit, rivals: Rivals, under_lock: list[bool], work: Callable[[Any], None]
) -> None:
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    request.session["log"].append("ours")
    rivals.calls, rivals.left = [], 1
    work(request.session)
    visitor.close(request)
    assert rivals.calls == ["update", "update"]
    assert under_lock == [False]
    assert data_of(visitor) == {"log": ["ours", "theirs"]} | ({"n": 1} if work is count else {})


@pytest.mark.parametrize("work", [regenerate, count])
def test_both_do_after_some_tries(
    kit: Kit, rivals: Rivals, under_lock: list[bool], work: Callable[[Any], None]
) -> None:
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    request.session["log"].append("ours")
    rivals.calls, rivals.left = [], TRIES + 1
    work(request.session)
    visitor.close(request)
    assert rivals.calls == ["update"] * (TRIES + 1)
    assert under_lock == [False] * TRIES + [True]
    assert data_of(visitor)["log"] == ["ours", *["theirs"] * (TRIES + 1)]


@pytest.mark.parametrize("work", [regenerate, count])
def test_without_changes_of_its_own_a_request_has_nothing_to_merge(
    kit: Kit, rivals: Rivals, work: Callable[[Any], None]
) -> None:
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    rivals.calls, rivals.left = [], 1
    work(request.session)
    visitor.close(request)
    assert rivals.calls == ["update"]
    assert data_of(visitor)["log"] == ["theirs"]


def test_what_the_later_request_appends_stands_first(kit: Kit) -> None:
    visitor = begin(kit, {"log": ["old"]})
    one, two = visitor.open(), visitor.open()
    one.session["log"].append("one")
    two.session["log"].append("two")
    visitor.close(one)
    visitor.close(two)
    assert data_of(visitor)["log"] == ["old", "two", "one"]


def test_a_row_that_goes_between_two_tries_stays_gone(
    kit: Kit, rivals: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = begin(kit, {"log": []})
    request, ending = visitor.open(), visitor.open()
    ending.session.invalidate()
    request.session["log"].append("ours")
    save = rivals.save

    def after_the_end(*args: Any) -> bool:
        visitor.close(ending)
        return save(*args)

    monkeypatch.setattr(rivals, "save", after_the_end)
    copy = Visitor(visitor.factory, **visitor.cookies)
    copy.close(request)
    assert copy.set_cookie == []
    assert copy.open().session.new


def test_a_row_of_another_session_is_not_merged_into(
    kit: Kit, rivals: Rivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = begin(kit, {"log": ["private"]})
    visitor = begin(kit, {"log": []})
    request = visitor.open()
    request.session["log"].append("ours")
    theirs = stored(kit, other)
    rivals.left = 1
    with monkeypatch.context() as patch:
        patch.setattr(rivals, "load", lambda *_: theirs)
        visitor.close(request)
    assert data_of(other) == {"log": ["private"]}
    assert data_of(visitor) == {"log": ["theirs"]}
    assert visitor.set_cookie == []


def digits(seed: int) -> list[int]:
    source = random.Random(seed)
    return [source.randrange(10) for _ in range(50_000)]


def too_much(kit: Kit) -> tuple[Visitor, Any]:
    """A visitor, and a request of theirs whose changes no longer merge in time."""
    visitor = begin(kit, {"log": digits(1)}, max_bytes="1000000")
    request = visitor.open()
    request.session["log"].append(-1)
    with visitor.request() as session:
        session["log"] = digits(2)
    return visitor, request


def loses_nothing(visitor: Visitor, request: Any, caplog: pytest.LogCaptureFixture) -> bool:
    assert [each.levelname for each in caplog.records if "so many" in each.message] == ["ERROR"]
    assert data_of(visitor) == {"log": digits(2)}
    visitor.close(request)  # nothing more comes of it
    assert visitor.set_cookie == []
    with visitor.request() as session:  # the visitor's next try
        session["log"].append(-1)
    return data_of(visitor) == {"log": [*digits(2), -1]}


@pytest.mark.parametrize("work", [lambda session: None, regenerate])
def test_a_merge_that_would_take_too_long_is_refused_with_a_503(
    kit: Kit, caplog: pytest.LogCaptureFixture, work: Callable[[Any], None]
) -> None:
    visitor, request = too_much(kit)
    work(request.session)
    response = visitor.close(request)
    assert (response.status_int, response.headers["Retry-After"]) == (503, "10")
    assert loses_nothing(visitor, request, caplog)


def test_in_a_transaction_or_a_save_of_the_apps_it_raises(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    for work in (count, lambda session: session.save()):
        caplog.clear()
        visitor, request = too_much(kit)
        with pytest.raises(MergeTooLargeError):
            work(request.session)
        assert loses_nothing(visitor, request, caplog)


def test_max_bytes_does_not_count_what_a_transaction_merges(kit: Kit) -> None:
    visitor = begin(kit, {"log": [], "n": 0}, max_bytes="1000")
    request = visitor.open()
    request.session["log"].append("x" * 900)
    with visitor.request() as session:
        session["log"].append("y" * 900)
    count(request.session)
    visitor.close(request)
    assert [len(each) for each in data_of(visitor)["log"]] == [900, 900]
    assert data_of(visitor)["n"] == 1
