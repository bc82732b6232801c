"""Events: told after the fact, at most once, with id and owner; a subscriber breaks nothing."""

import logging
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory

from sessionsite.sessions import (
    RESERVED_OWNER,
    EndReason,
    SessionCreated,
    SessionEnded,
    SessionEvent,
    SessionMerged,
    SessionRotated,
    StoreBack,
    StoreError,
    StoreUnavailable,
    all_sessions,
    logout,
)
from sessionsite.sessions import pruner as pruner_module
from sessionsite.sessions.events import Teller
from sessionsite.sessions.pruner import Pruner
from sessionsite.testing import START, record
from tests.contract.kit import Kit, begin, log_in, on_servers
from tests.harness.visitor import Visitor

pytestmark = on_servers
EVENTS = (SessionEvent, StoreUnavailable, StoreBack)


def listen(visitor: Visitor) -> list[Any]:
    """Return a list that gets each event from now on, and what of its session is stored then."""
    told: list[Any] = []

    def note(event: Any) -> None:
        told.append(event)

    for kind in EVENTS:
        visitor.registry.registerHandler(note, [kind])
    visitor.registry.has_listeners = True
    return told


def kinds(told: list[Any]) -> list[Any]:
    return [(type(e), e.reason) if isinstance(e, SessionEnded) else type(e) for e in told]


def test_a_session_is_created_rotated_and_ended(kit: Kit) -> None:
    visitor = kit.visitor()
    told = listen(visitor)
    with visitor.request():
        pass
    assert told == []
    request = visitor.open()
    request.session["a"] = 1
    assert told == []  # it is not stored
    visitor.close(request)
    assert kinds(told) == [SessionCreated]
    assert (told[0].id, told[0].owner, told[0].request) == (request.session.id, None, request)
    log_in(visitor, "user:42")
    request = visitor.open()
    logout(request)
    visitor.close(request)
    assert kinds(told) == [SessionCreated, SessionRotated, (SessionEnded, EndReason.LOGOUT)]
    assert [event.owner for event in told] == [None, "user:42", "user:42"]
    assert len({event.id for event in told}) == 1


def test_what_is_stored_already_is_told_when_the_rest_fails(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = begin(kit)
    told = listen(visitor)

    def fail(record: Any) -> None:
        raise StoreError("full")

    monkeypatch.setattr(kit.store, "create", fail)
    request = visitor.open()
    request.session.invalidate()
    request.session["b"] = 2
    with pytest.raises(StoreError):
        request.session.save()
    assert kinds(told) == [StoreUnavailable, (SessionEnded, EndReason.LOGOUT)]


def test_an_ordinary_save_tells_nothing(kit: Kit) -> None:
    visitor = begin(kit)
    told = listen(visitor)
    with visitor.request() as session:
        session["b"] = 2
    assert told == []


def test_a_merge_is_told(kit: Kit) -> None:
    visitor = begin(kit)
    told = listen(visitor)
    first, second = visitor.open(), visitor.open()
    first.session["b"] = 2
    second.session["c"] = 3
    visitor.close(first)
    visitor.close(second)
    assert kinds(told) == [SessionMerged]
    assert told[0].request is second


def test_what_is_ended_from_outside_is_revoked(kit: Kit) -> None:
    visitor = begin(kit)
    log_in(visitor, "user:42")
    told = listen(visitor)
    visitor.registry.registerUtility(visitor.factory, ISessionFactory)
    store = all_sessions(visitor.registry)
    assert store is not None
    assert store.end("nobody's") is False
    store.end_owner("user:42")
    begin(kit)
    kit.clock.move(1)
    store.end_all()
    other = begin(kit)
    store.end(other.open().session.id)
    assert kinds(told) == [(SessionEnded, EndReason.REVOKED)] * 3
    assert [event.owner for event in told] == ["user:42", None, None]


def test_a_session_that_makes_room_is_told(kit: Kit) -> None:
    factory = kit.factory(max_per_owner="1")
    first, second = Visitor(factory), Visitor(factory)
    told = listen(second)
    ids = []
    for visitor in (first, second):
        request = log_in(visitor, "user:42")
        ids.append(request.session.id)
    assert kinds(told) == [SessionCreated, (SessionEnded, EndReason.LIMIT)]
    assert [event.id for event in told] == [ids[1], ids[0]]


def test_the_end_of_another_owners_session_is_told_with_a_limit_too(kit: Kit) -> None:
    visitor = begin(kit, max_per_owner="1")
    log_in(visitor, "user:1")
    told = listen(visitor)
    log_in(visitor, "user:2")
    assert kinds(told) == [(SessionEnded, EndReason.LOGOUT), SessionCreated]
    assert [event.owner for event in told] == ["user:1", "user:2"]


def test_a_reused_token_is_told(kit: Kit) -> None:
    visitor = begin(kit, on_reuse="end")
    thief = Visitor(visitor.factory, **visitor.cookies)
    told = listen(thief)
    for _ in range(2):
        with visitor.request() as session:
            session.regenerate()
    with visitor.request():
        pass
    kit.clock.move(61)
    for _ in range(2):
        with thief.request():
            pass
    assert kinds(told) == [(SessionEnded, EndReason.REUSE)]


def test_whoever_prunes_tells_of_idle_and_absolute_ends(kit: Kit) -> None:
    idle = begin(kit, timeout="600", lifetime="3600")
    with begin(kit).request() as session:
        session.set_lifetime(timeout=None, lifetime=700)
        own = session.id
    busy = begin(kit, timeout="600", lifetime="1000", max_lifetime="none")
    kit.clock.move(500)
    with busy.request() as session:
        session["b"] = 2
        absolute = session.id
    told = listen(idle)
    pruner = Pruner(kit.store, 900, kit.clock, tell=Teller(registry=idle.registry), lifetime=1000)
    kit.clock.move(600)
    assert pruner.prune() == 3
    reasons = {event.id: event.reason for event in told}
    assert sorted(reasons.values()) == ["absolute", "absolute", "idle"]
    assert {id_ for id_, reason in reasons.items() if reason == "absolute"} == {own, absolute}
    assert {event.request for event in told} == {None}
    assert pruner.prune() == 0
    assert len(told) == 3


def test_a_heard_pruner_goes_batch_by_batch_and_says_nothing_of_markers(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruner_module, "PRUNE_BATCH", 2)
    visitor = kit.visitor()
    told = listen(visitor)
    for number in range(5):
        owner = RESERVED_OWNER if number == 4 else None
        kit.store.create(record(str(number), expires_at=START, owner=owner))
    kit.clock.now = START
    pruner = Pruner(kit.store, 900, kit.clock, tell=Teller(registry=visitor.registry))
    assert pruner.prune() == 5
    assert len(told) == 4
    for number in range(4):
        kit.store.create(record(str(number), expires_at=START))
    assert pruner.prune() == 4


def test_a_pruner_that_nobody_hears_only_counts(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = begin(kit)
    kit.clock.move(86400)

    def refuse(now: Any, limit: int) -> None:
        raise AssertionError("nobody asked for them")

    monkeypatch.setattr(kit.store, "prune_batch", refuse)
    for tell in (Teller(), Teller(registry=idle.registry)):
        assert tell.is_heard is False
    if kit.kind == "postgresql":
        assert Pruner(kit.store, 900, kit.clock, tell=Teller(registry=idle.registry)).prune() == 1
    # One that does without expired sessions leaves it at counting.
    count = Counting()
    idle.registry.registerHandler(count, [SessionEnded])
    assert Teller(registry=idle.registry).is_heard is False
    listen(idle)
    assert Teller(registry=idle.registry).is_heard is True


class Counting:
    """A subscriber that expired sessions are not looked up for."""

    expired_too = False

    def __call__(self, event: SessionEnded) -> None:
        """Take note."""


@pytest.mark.parametrize("name", ["events", "audit"])
def test_a_pruner_tells_of_each_session_to_a_log_for_details(
    kit: Kit, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    logger = f"sessionsite.sessions.{name}"
    id_ = begin(kit).open().session.id
    kit.clock.move(86400)
    caplog.set_level(logging.DEBUG, logger=logger)
    assert Pruner(kit.store, 900, kit.clock, tell=Teller(by="the pruner")).prune() == 1
    (line,) = [r.getMessage() for r in caplog.records if r.name == logger]
    said = {"events": ": ended (idle)", "audit": " of nobody ended: idle, by the pruner"}
    assert line == f"Session {id_}{said[name]}"


def test_a_store_that_is_lost_and_back_is_told_once_each(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = begin(kit)
    told = listen(visitor)

    def fail(id_: str, now: Any) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(kit.store, "load", fail)
        for _ in range(3):
            with pytest.raises(StoreError):
                visitor.open()
    for _ in range(3):
        visitor.open()
    assert kinds(told) == [StoreUnavailable, StoreBack]
    assert told[0].reason == "away"


def test_a_subscriber_that_fails_breaks_nothing(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    visitor = kit.visitor()

    def fail(event: Any) -> None:
        raise ZeroDivisionError

    visitor.registry.registerHandler(fail, [SessionCreated])
    visitor.registry.has_listeners = True
    with visitor.request() as session:
        session["a"] = 1
    assert dict(visitor.open().session) == {"a": 1}
    assert "A subscriber to SessionCreated has failed" in caplog.text


def test_the_log_lines_are_made_from_them(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sessionsite.sessions")
    visitor = kit.visitor()
    request = log_in(visitor, "user:42")
    id_ = request.session.id
    with visitor.request() as session:
        session.regenerate()
    with visitor.request() as session:
        session.invalidate()
    events = [r for r in caplog.records if r.name == "sessionsite.sessions.events"]
    lines = [record.getMessage() for record in events]
    assert lines == [
        f"Session {id_}: created",
        f"Session {id_}: new token",
        f"Session {id_}: ended (logout)",
    ]
    assert all("user:42" not in line for line in lines)  # that is for the audit log


def test_it_keeps_no_request_alive(kit: Kit) -> None:
    """A reference would make a cycle, and the request's memory would wait for the collector."""
    tell = Teller(Visitor(kit.factory()).open())
    assert tell._request is not None
    assert tell._request() is None
