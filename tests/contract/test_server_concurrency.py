"""Requests of one visitor that overlap, on every store: nothing lost, nothing revived."""

from datetime import timedelta
from typing import Any

import pytest

from sessionsite.sessions.store import SessionEndedError
from tests.contract.kit import Kit, begin, data_of, on_servers
from tests.harness.visitor import Visitor

pytestmark = on_servers


class TestParallelRequests:
    def test_changes_to_different_keys_are_both_kept(self, kit: Kit) -> None:
        visitor = begin(kit, {"a": 1, "log": ["old"]})
        one, two = visitor.open(), visitor.open()
        one.session["one"] = 1
        one.session["log"].insert(0, "x")
        two.session["two"] = 2
        two.session["log"].insert(0, "x")
        visitor.close(one)
        visitor.close(two)
        assert visitor.set_cookie == []
        assert visitor.open().session == {"a": 1, "one": 1, "two": 2, "log": ["x", "x", "old"]}

    def test_asvs_7_4_1_an_ended_session_stays_ended(self, kit: Kit) -> None:
        visitor = begin(kit)
        writer, reader, toucher = visitor.open(), visitor.open(), visitor.open()
        renewer = visitor.open()
        with visitor.request() as session:
            session.invalidate()
        writer.session["a"] = 2
        toucher.session.touch()
        renewer.session.regenerate()
        for request in (writer, reader, toucher, renewer):
            visitor.close(request)
            assert visitor.set_cookie == []
        assert kit.store.prune(kit.clock.now + timedelta(days=30), 10) == 0  # no row at all

    def test_of_two_logouts_the_second_leaves_the_cookie_alone(self, kit: Kit) -> None:
        visitor = begin(kit)
        first, second, third = visitor.open(), visitor.open(), visitor.open()
        for request in (first, second, third):
            request.session.invalidate()
        second.session.flash("bye")
        visitor.close(first)
        assert len(visitor.set_cookie) == 1
        for request in (second, third):
            visitor.close(request)
            assert visitor.set_cookie == []
        with pytest.raises(SessionEndedError):
            second.session.transact(lambda s: s.update(n=1))
        assert kit.store.prune(kit.clock.now + timedelta(days=30), 10) == 0

    def test_a_logout_of_an_expired_session_leaves_the_cookie_alone(self, kit: Kit) -> None:
        """Its visitor may have begun another session meanwhile, under the same name."""
        visitor = begin(kit)
        slow = visitor.open()
        kit.clock.move(1200)
        with visitor.request() as session:
            session["b"] = 2
        newer = dict(visitor.cookies)
        slow.session.invalidate()
        visitor.close(slow)
        assert (visitor.set_cookie, visitor.cookies) == ([], newer)
        assert visitor.open().session == {"b": 2}

    def test_an_expired_session_takes_no_save(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        kit.clock.move(1200)
        request.session["a"] = 2
        visitor.close(request)
        assert visitor.set_cookie == []
        assert visitor.open().session.new


class TestTransact:
    def test_it_may_end_the_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.transact(lambda s: s.invalidate())
        assert visitor.open().session.new

    def test_it_sees_the_newest_data_and_what_was_pending(self, kit: Kit) -> None:
        visitor = begin(kit, {"n": 1})
        request = visitor.open()
        request.session["mine"] = True
        with visitor.request() as session:
            session["n"] = 10

        def increment(session: Any) -> int:
            session["n"] += 1
            return int(session["n"])

        assert request.session.transact(increment) == 11
        assert visitor.open().session == {"n": 11, "mine": True}  # before the response
        visitor.close(request)
        assert visitor.open().session == {"n": 11, "mine": True}

    def test_an_error_in_it_changes_nothing(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        request.session["pending"] = 1

        def fail(session: Any) -> None:
            session["a"] = 99
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            request.session.transact(fail)
        assert request.session == {"a": 1, "pending": 1}
        assert visitor.open().session == {"a": 1}

    def test_it_begins_a_session_that_is_not_stored_yet(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session.transact(lambda s: s.update(n=1))
        assert visitor.open().session == {"n": 1}

    def test_on_a_session_that_has_ended_it_raises(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        with visitor.request() as session:
            session.invalidate()
        for _ in range(2):
            with pytest.raises(SessionEndedError):
                request.session.transact(lambda s: s.update(n=1))
        visitor.close(request)
        assert visitor.set_cookie == []


class TestRegenerate:
    def test_asvs_7_2_4_the_data_stays_and_the_old_token_is_dead(self, kit: Kit) -> None:
        visitor = begin(kit)
        old = Visitor(visitor.factory, **visitor.cookies)
        kit.clock.move(10)
        with visitor.request() as session:
            session.regenerate()
        assert visitor.cookies != old.cookies
        with visitor.request() as session:
            assert session == {"a": 1}
            assert session.created == int(kit.clock.start.timestamp())
        for _ in range(2):
            with old.request() as session:
                assert dict(session) == {}
                session["attacker"] = 1
            assert old.set_cookie == []
        assert visitor.open().session == {"a": 1}

    def test_after_a_minute_the_old_token_is_unknown_like_any_other(self, kit: Kit) -> None:
        visitor = begin(kit)
        old = Visitor(visitor.factory, **visitor.cookies)
        with visitor.request() as session:
            session.regenerate()
        kit.clock.move(60)
        with old.request() as session:
            session["b"] = 2
        assert old.open().session == {"b": 2}
        assert visitor.open().session == {"a": 1}

    def test_a_request_in_flight_merges_into_the_renewed_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        with visitor.request() as session:
            session.regenerate()
            session["b"] = 2
        request.session["c"] = 3
        visitor.close(request)
        assert visitor.set_cookie == []
        assert visitor.open().session == {"a": 1, "b": 2, "c": 3}

    def test_two_at_once_rotate_twice(self, kit: Kit) -> None:
        visitor = begin(kit)
        one, two = visitor.open(), visitor.open()
        one.session.regenerate()
        two.session.regenerate()
        visitor.close(one)
        first = Visitor(visitor.factory, **visitor.cookies)
        visitor.close(two)
        assert visitor.cookies != first.cookies
        assert visitor.open().session == {"a": 1}
        assert dict(first.open().session) == {}


class TestRenewal:
    def test_the_token_rotates_by_itself_and_parallel_requests_are_not_hurt(self, kit: Kit) -> None:
        visitor = begin(kit, renewal_time="600", renewal_grace="30", timeout="1200")
        old = Visitor(visitor.factory, **visitor.cookies)
        kit.clock.move(599)
        with visitor.request():
            pass
        assert visitor.set_cookie == []
        kit.clock.move(1)
        one, two = visitor.open(), visitor.open()
        visitor.close(one)
        renewed = dict(visitor.cookies)
        assert renewed != old.cookies
        two.session["b"] = 2
        visitor.close(two)
        assert (visitor.set_cookie, visitor.cookies) == ([], renewed)
        kit.clock.move(29)
        with old.request() as session:
            session["c"] = 3
        assert old.set_cookie == []
        assert data_of(visitor) == {"a": 1, "b": 2, "c": 3}
        kit.clock.move(1)
        assert dict(old.open().session) == {}
        assert visitor.open().session == {"a": 1, "b": 2, "c": 3}
