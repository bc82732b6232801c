"""`request.session_store`: an owner's sessions listed, and sessions ended from outside."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory

from sessionsite.sessions import (
    AllSessions,
    MalformedRecordError,
    SessionEvent,
    SessionLimitError,
    StoreError,
    all_sessions,
    login,
)
from sessionsite.testing import in_parallel
from tests.contract.kit import Kit, begin, log_in, on_servers
from tests.harness.visitor import Visitor
from tests.sessions.own_store import KeyAndValue

pytestmark = on_servers


def logged_in(kit: Kit, owner: str, count: int = 1, **settings: str) -> list[Visitor]:
    """Visitors who have logged in one second after the other, the first one first."""
    factory = kit.factory(**settings)
    visitors = []
    for number in range(count):
        visitor = Visitor(factory)
        log_in(visitor, owner, label=f"browser {number}")
        kit.clock.move(1)
        visitors.append(visitor)
    return visitors


def asked(visitor: Visitor) -> AllSessions:
    request = visitor.open()
    request.registry.registerUtility(visitor.factory, ISessionFactory)
    found = all_sessions(request.registry, request)
    assert found is not None
    return found


def are_open(visitors: list[Visitor]) -> list[bool]:
    return [not visitor.open().session.new for visitor in visitors]


class TestSessionsOf:
    def test_they_are_listed_the_last_used_first_and_the_current_one_marked(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 3)
        logged_in(kit, "user:43")
        found = asked(visitors[1]).sessions_of("user:42")
        assert [each.label for each in found] == ["browser 2", "browser 1", "browser 0"]
        assert [each.current for each in found] == [False, True, False]
        assert {each.owner for each in found} == {"user:42"}
        session = visitors[1].open().session
        assert (found[1].id, found[1].seen_at) == (session.id, session.seen_at)
        assert found[1].expires_at is not None

    def test_no_token_no_hash_and_no_data_are_in_it(self, kit: Kit) -> None:
        (visitor,) = logged_in(kit, "user:42")
        with visitor.request() as session:
            session["secret"] = "of user:42"
        (found,) = asked(visitor).sessions_of("user:42")
        record = kit.store.load(found.id, kit.clock.now)
        assert "of user:42" not in repr(found)
        assert record.token_hash not in [getattr(found, each.name) for each in fields(found)]

    def test_without_a_request_none_is_current(self, kit: Kit) -> None:
        (visitor,) = logged_in(kit, "user:42")
        asked(visitor)
        found = all_sessions(visitor.registry)
        assert found is not None
        assert [each.current for each in found.sessions_of("user:42")] == [False]

    def test_an_owner_of_none_has_none(self, kit: Kit) -> None:
        assert list(asked(begin(kit)).sessions_of("user:42")) == []


class TestEnd:
    def test_a_session_is_ended_at_its_next_request(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 2)
        store = asked(visitors[0])
        other = next(each for each in store.sessions_of("user:42") if not each.current)
        assert store.end(other.id) is True
        assert store.end(other.id) is False
        assert are_open(visitors) == [True, False]

    def test_a_request_under_way_does_not_bring_it_back(self, kit: Kit) -> None:
        (visitor,) = logged_in(kit, "user:42")
        request = visitor.open()
        asked(visitor).end_owner("user:42")
        request.session["b"] = 2
        visitor.close(request)
        assert visitor.set_cookie == []
        assert are_open([visitor]) == [False]

    def test_the_others_are_ended_after_a_change_of_password(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 3)
        stranger = logged_in(kit, "user:43")
        id_ = visitors[1].open().session.id
        assert asked(visitors[1]).end_owner("user:42", except_id=id_) == 2
        assert are_open(visitors + stranger) == [False, True, False, True]
        assert asked(visitors[1]).end_owner("user:42") == 1
        assert are_open(visitors) == [False] * 3

    def test_all_are_ended(self, kit: Kit) -> None:
        visitors = [*logged_in(kit, "user:42", 2), begin(kit)]
        kit.clock.move(1)
        assert asked(visitors[0]).end_all() == 3
        assert are_open(visitors) == [False] * 3

    def test_all_that_were_created_before_a_time_are_ended(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 3)
        before = kit.clock.now - timedelta(seconds=1)
        assert asked(visitors[0]).end_all(before) == 2
        assert are_open(visitors) == [False, False, True]

    def test_those_that_are_unused_since_a_time_are_ended(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 3)
        with visitors[0].request() as session:
            session["b"] = 2
        since = kit.clock.now
        assert sum(asked(visitors[0]).end_older(unused_since=since)) == 2
        assert are_open(visitors) == [True, False, False]

    def test_a_thousand_and_more_are_ended_in_batches(self, kit: Kit) -> None:
        (visitor,) = logged_in(kit, "user:42")
        id_ = visitor.open().session.id
        record = kit.store.load(id_, kit.clock.now)
        for number in range(1100):
            kit.store.create(replace(record, id=f"{'aAbB'[number % 4]}{number}"))
        kit.clock.move(1)
        counts = list(asked(visitor).end_older())
        assert sum(counts) == 1101
        assert max(counts) <= 1000 or kit.kind == "memory"


class TestLimit:
    def test_the_longest_unused_is_ended(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 3, max_per_owner="3")
        with visitors[0].request() as session:
            session["b"] = 2
        kit.clock.move(1)
        newest = Visitor(visitors[0].factory)
        log_in(newest, "user:42")
        assert are_open([*visitors, newest]) == [True, False, True, True]

    def test_who_logs_in_again_needs_no_more_room(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 2, max_per_owner="2")
        log_in(visitors[0], "user:42")
        assert are_open(visitors) == [True, True]

    def test_other_owners_and_nobodys_sessions_do_not_count(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 1, max_per_owner="1")
        log_in(Visitor(visitors[0].factory), "user:43")
        begin(kit, max_per_owner="1")
        assert are_open(visitors) == [True]

    def test_one_more_can_be_refused(self, kit: Kit) -> None:
        settings = {"max_per_owner": "2", "on_limit": "refuse"}
        visitors = logged_in(kit, "user:42", 2, **settings)
        late = Visitor(visitors[0].factory)
        with late.request() as session:
            session["cart"] = [1]
        request = late.open()
        request.session["cart"].append(2)
        with pytest.raises(SessionLimitError, match="there are 2 sessions, and 2 are allowed"):
            login(request, "user:42")
        assert request.session.owner is None
        late.close(request)
        session = late.open().session
        assert (session.owner, session["cart"]) == (None, [1, 2])
        assert are_open(visitors) == [True, True]
        asked(visitors[0]).end(visitors[1].open().session.id)
        log_in(late, "user:42")
        assert late.open().session.owner == "user:42"

    def test_a_first_session_can_be_refused_as_well(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 1, max_per_owner="1", on_limit="refuse")
        request = Visitor(visitors[0].factory).open()
        with pytest.raises(SessionLimitError):
            login(request, "user:42")
        assert len(asked(visitors[0]).sessions_of("user:42")) == 1

    @pytest.mark.parametrize("on_limit", ["end_oldest", "refuse"])
    def test_it_is_exact_under_parallel_logins(self, kit: Kit, on_limit: str) -> None:
        """Of eight at once two are left, whatever happens in between; tried ten times."""
        factory = kit.factory(max_per_owner="2", on_limit=on_limit)

        def log_in_at_once(_number: int) -> bool:
            visitor = Visitor(factory)
            try:
                log_in(visitor, owner)
            except SessionLimitError:
                return False
            return True

        for turn in range(10):
            owner = f"user:{turn}"
            done = in_parallel(8, log_in_at_once)
            assert sum(done) == (8 if on_limit == "end_oldest" else 2)
            assert len(kit.store.sessions_of(owner, kit.clock.now)) == 2

    @pytest.mark.parametrize("new", [True, False])
    def test_a_login_that_the_store_tries_twice_is_stored_once(
        self, kit: Kit, new: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a conflict of two transactions: what the first try did is undone."""
        locked = kit.store.with_owner_locked
        told: list[Any] = []

        def twice(owner: str, work: Any) -> Any:
            def undone() -> None:
                work()
                raise ZeroDivisionError

            with suppress(ZeroDivisionError):
                locked(owner, undone)
            return locked(owner, work)

        (before,) = logged_in(kit, "user:42", max_per_owner="1")
        visitor = Visitor(before.factory) if new else begin_with(before.factory)
        visitor.registry.registerHandler(told.append, [SessionEvent])
        visitor.registry.has_listeners = True
        monkeypatch.setattr(kit.store, "with_owner_locked", twice)
        request = visitor.open()
        request.session["b"] = 2
        login(request, "user:42")
        visitor.close(request)
        session = visitor.open().session
        assert dict(session) == ({"b": 2} if new else {"a": 1, "b": 2})
        assert session.owner == "user:42"
        assert are_open([before]) == [False]
        assert sorted(type(event).__name__ for event in told) == [
            "SessionCreated" if new else "SessionEnded",
            "SessionEnded" if new else "SessionRotated",
        ]

    def test_a_session_that_ended_meanwhile_ends_no_other(self, kit: Kit) -> None:
        visitors = logged_in(kit, "user:42", 1, max_per_owner="1")
        late = begin(kit, max_per_owner="1")
        request = late.open()
        kit.store.delete(request.session.id)
        login(request, "user:42")
        late.close(request)
        assert are_open([*visitors, late]) == [True, False]


class TestEndOwnerWhileSessionsAreClaimed:
    def test_each_is_ended_or_newer_than_the_call(self, kit: Kit) -> None:
        """Twelve log in and one ends all of them, at once: none is left that was there before."""
        factory = kit.factory()
        for turn in range(10):
            owner = f"user:{turn}"
            before = [Visitor(factory) for _ in range(3)]
            for visitor in before:
                log_in(visitor, owner)
            claiming = [begin_with(factory) for _ in range(4)]
            barrier = Barrier(len(claiming) + 1)

            def claim(visitor: Visitor, owner: str = owner, barrier: Barrier = barrier) -> None:
                request = visitor.open()
                barrier.wait(30)
                login(request, owner)
                visitor.close(request)

            threads = [Thread(target=claim, args=(visitor,)) for visitor in claiming]
            for thread in threads:
                thread.start()
            barrier.wait(30)
            kit.store.end_owner(owner, kit.clock.now)
            for thread in threads:
                thread.join()
            assert are_open(before) == [False] * 3
            owned = [visitor.open().session.owner == owner for visitor in claiming]
            assert len(kit.store.sessions_of(owner, kit.clock.now)) == sum(owned)
            kit.store.end_owner(owner, kit.clock.now)
            assert [v for v in claiming if v.open().session.owner == owner] == []


def begin_with(factory: Any) -> Visitor:
    visitor = Visitor(factory)
    with visitor.request() as session:
        session["a"] = 1
    return visitor


def test_a_row_that_was_edited_by_hand_ends_all_the_same(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (visitor,) = logged_in(kit, "user:42")
    store = asked(visitor)
    id_ = visitor.open().session.id

    def spoilt(*_: Any) -> None:
        raise MalformedRecordError("the row")

    monkeypatch.setattr(kit.store, "update", spoilt)
    assert store.end(id_) is True
    assert store.end(id_) is False


def test_a_login_whose_store_fails_logs_nobody_in(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = begin_with(kit.factory(max_per_owner="1"))
    request = visitor.open()

    def fail(*_: Any) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(kit.store, "sessions_of", fail)
        with pytest.raises(StoreError):
            login(request, "user:42")
    visitor.close(request)
    session = visitor.open().session
    assert (session.owner, dict(session)) == (None, {"a": 1})


def test_a_store_without_owners_says_so(kit: Kit) -> None:
    kit.store = KeyAndValue()
    visitor = begin(kit)
    store = asked(visitor)
    with pytest.raises(TypeError, match="KeyAndValue finds no sessions by their owner"):
        store.sessions_of("user:42")
    assert store.end(visitor.open().session.id) is True
    assert are_open([visitor]) == [False]
