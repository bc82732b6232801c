"""What an app calls beyond Pyramid's `ISession`: the same with every factory."""

import copy
import json
import pickle
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from pyramid.interfaces import ISession
from zope.interface.verify import verifyObject

from sessionsite.sessions import ISavedSession, IStoredSession, PayloadError
from tests.contract.kit import Kit, begin, data_of


def test_it_provides_what_its_interfaces_say(kit: Kit) -> None:
    session = kit.visitor().open().session
    for interface in (ISession, ISavedSession):
        verifyObject(interface, session)
    assert IStoredSession.providedBy(session) is kit.on_a_server


class TestId:
    def test_it_is_public_and_stays_through_every_rotation(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
            first = session.id
        assert first.isascii()
        assert len(first) == 22  # 128 bits
        for _ in range(2):
            with visitor.request() as session:
                assert session.id == first
                session.regenerate()
                session["a"] += 1
        assert visitor.open().session.id == first

    def test_another_session_has_another(self, kit: Kit) -> None:
        factory = kit.factory()
        ids = {type(begin(kit))(factory).open().session.id for _ in range(5)}
        visitor = begin(kit)
        with visitor.request() as session:
            ids.add(session.id)
            session.invalidate()
            session["b"] = 2
            ids.add(session.id)
        assert visitor.open().session.id in ids
        assert len(ids) == 7


class TestRegenerate:
    def test_the_csrf_token_is_new_and_the_data_is_kept(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
            before = session.get_csrf_token()
        with visitor.request() as session:
            session.regenerate()
            new = session.get_csrf_token()
            assert new != before
        with visitor.request() as session:
            assert session.get_csrf_token() == new
            assert session["a"] == 1

    def test_each_call_gives_another(self, kit: Kit) -> None:
        session = kit.visitor().open().session
        tokens = {session.get_csrf_token()}
        for _ in range(3):
            session.regenerate()
            tokens.add(session.get_csrf_token())
        assert len(tokens) == 4

    def test_a_session_without_a_csrf_token_gets_none(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.regenerate()
        assert data_of(visitor) == {"a": 1}


class TestTimes:
    def test_seen_at_and_expires_at_tell_the_visitor(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200", reissue_time="120")
        start = kit.clock.now
        kit.clock.move(60)
        session = visitor.open().session
        assert (session.seen_at, session.expires_at) == (start, start + timedelta(seconds=1200))
        session["a"] = 2
        kit.clock.move(100)
        session = visitor.open().session
        assert session.get("a") == 1
        later = session.expires_at
        assert later == kit.clock.now + timedelta(seconds=1200)
        assert later.utcoffset() == timedelta(0)

    def test_it_ends_when_it_says(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200")
        end = visitor.open().session.expires_at
        kit.clock.move((end - kit.clock.now).total_seconds() - 1)
        assert not visitor.open().session.new
        kit.clock.move(1)
        assert visitor.open().session.new

    def test_a_new_session_is_seen_now(self, kit: Kit) -> None:
        session = kit.visitor(timeout="1200").open().session
        assert session.seen_at == kit.clock.now
        assert session.expires_at == kit.clock.now + timedelta(seconds=1200)

    def test_without_a_timeout_there_is_no_end(self, kit: Kit) -> None:
        no_limits = {"lifetime": "none"} if kit.on_a_server else {}
        visitor = kit.visitor(timeout="none", allow_insecure="endless", **no_limits)
        assert visitor.open().session.expires_at is None

    def test_touch_pushes_the_end_back_at_once(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200", reissue_time="120")
        kit.clock.move(1)
        with visitor.request() as session:
            session.touch()
        session = visitor.open().session
        assert session.seen_at == kit.clock.now
        assert session.expires_at == kit.clock.now + timedelta(seconds=1200)


class TestSave:
    def test_what_came_before_and_after_it_is_stored(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session["b"] = 2
            session.save()
            session.save()
            session["c"] = 3
        assert data_of(visitor) == {"a": 1, "b": 2, "c": 3}

    def test_it_raises_at_once_for_what_can_not_be_stored(self, kit: Kit) -> None:
        settings = {"max_bytes": "4000"} if kit.on_a_server else {}
        visitor = begin(kit, None, **settings)
        with visitor.request() as session:
            for wrong in (object(), "x" * 5000):
                session["b"] = wrong
                with pytest.raises(PayloadError, match=r"session\['b'\]"):
                    session.save()
            session["b"] = 2
        assert data_of(visitor) == {"a": 1, "b": 2}

    def test_a_change_deep_inside_is_seen_with_no_call(self, kit: Kit) -> None:
        visitor = begin(kit, {"cart": {"items": [{"n": 1}]}})
        with visitor.request() as session:
            session["cart"]["items"][0]["n"] += 1
        assert data_of(visitor) == {"cart": {"items": [{"n": 2}]}}

    def test_nothing_is_sent_for_a_session_that_is_as_it_was(self, kit: Kit) -> None:
        visitor = begin(kit, {"cart": {"items": [1]}})
        with visitor.request() as session:
            assert session["cart"]["items"] == [1]
            session.save()
        assert visitor.set_cookie == []


class TestReload:
    def test_it_drops_what_is_not_stored(self, kit: Kit) -> None:
        visitor = begin(kit, {"a": [1]})
        with visitor.request() as session:
            session["a"].append(2)
            session["b"] = 2
            session.reload()
            assert session == {"a": [1]}
        assert data_of(visitor) == {"a": [1]}

    def test_it_keeps_what_save_has_stored(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session["b"] = 2
            session.save()
            session["c"] = 3
            session.reload()
        assert data_of(visitor) == {"a": 1, "b": 2}

    def test_a_session_that_was_never_stored_is_empty(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
            session.reload()
            assert (session, session.new) == ({}, True)
        assert visitor.set_cookie == []


class TestTransact:
    def test_what_change_raises_undoes_it(self, kit: Kit) -> None:
        visitor = begin(kit, {"a": [1]})

        def change(session: Any) -> None:
            session["a"].append(2)
            raise ZeroDivisionError

        with visitor.request() as session:
            session["pending"] = 1
            with pytest.raises(ZeroDivisionError):
                session.transact(change)
            assert session == {"a": [1], "pending": 1}
        assert data_of(visitor) == {"a": [1], "pending": 1}

    @pytest.mark.parametrize("method", ["save", "reload", "touch", "regenerate", "transact"])
    @pytest.mark.parametrize("stored", [True, False])
    @pytest.mark.parametrize("elsewhere", [True, False], ids=["another-thread", "the-thread"])
    def test_it_takes_no_method_that_would_wait_for_its_own_lock(
        self, kit: Kit, method: str, stored: bool, elsewhere: bool
    ) -> None:
        visitor = begin(kit) if stored else kit.visitor()
        errors: list[Exception] = []

        def call(session: Any) -> None:
            try:
                getattr(session, method)(*([lambda s: None] if method == "transact" else []))
            except RuntimeError as exc:
                errors.append(exc)

        def change(session: Any) -> None:
            session["n"] = 1
            if elsewhere:
                thread = threading.Thread(target=call, args=(session,))
                thread.start()
                thread.join()
            else:
                call(session)
            if errors:
                raise errors[-1]

        start = time.monotonic()
        with visitor.request() as session:
            with pytest.raises(RuntimeError, match=rf"session\.{method}\(\) inside the change"):
                session.transact(change)
            assert "n" not in session
            session.transact(lambda s: s.update(m=2))
            getattr(session, method)(*([lambda s: None] if method == "transact" else []))
        assert time.monotonic() - start < 1
        assert data_of(visitor)["m"] == 2

    def test_it_may_end_the_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            before = session.id

            def change(session: Any) -> None:
                session.invalidate()
                assert session == {}
                session.flash("bye")

            session.transact(change)
            assert (session.new, session.id == before) == (True, False)
        assert data_of(visitor) == {"_f_": ["bye"]}

    def test_an_end_is_undone_with_the_rest(self, kit: Kit) -> None:
        visitor = begin(kit)

        def change(session: Any) -> None:
            session.invalidate()
            raise ZeroDivisionError

        with visitor.request() as session:
            before = session.id
            with pytest.raises(ZeroDivisionError):
                session.transact(change)
            session.transact(lambda s: s.update(b=2))
            assert (session.new, session.id) == (False, before)
        assert data_of(visitor) == {"a": 1, "b": 2}


class TestCopies:
    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), dict, lambda s: s | {},
         lambda s: {} | s, lambda s: s.copy(), lambda s: json.loads(json.dumps(s)),
         *(lambda s, p=p: pickle.loads(pickle.dumps(s, p)) for p in range(6))],
        ids=["copy", "deepcopy", "pickle", "dict", "or", "ror", "method", "json",
             *(f"pickle-{protocol}" for protocol in range(6))],
    )  # fmt: skip
    def test_a_copy_is_a_plain_dict(self, kit: Kit, copied: Any) -> None:
        data = {"a": {"b": [1]}, "c": None}
        visitor = begin(kit, data)
        with visitor.request() as session:
            made = copied(session)
            assert type(made) is dict
            assert made == data
            made["new"] = 1
            assert "new" not in session
        assert data_of(visitor) == data

    def test_a_deep_copy_shares_nothing_and_a_shallow_one_all(self, kit: Kit) -> None:
        session = begin(kit, {"a": [1]}).open().session
        assert copy.copy(session)["a"] is session["a"]
        assert copy.deepcopy(session)["a"] is not session["a"]


def test_clear_empties_a_session_and_does_not_end_it(kit: Kit) -> None:
    """As documented: `invalidate()` is what ends one."""
    visitor = begin(kit)
    with visitor.request() as session:
        before = session.id
        session.clear()
    assert visitor.cookies
    with visitor.request() as session:
        assert (dict(session), session.new, session.id) == ({}, False, before)


def test_what_changes_nothing_is_no_change_once_the_headers_have_left(kit: Kit) -> None:
    visitor = begin(kit)
    session = visitor.open().session
    session.headers_sent()
    session["a"] = 1
    session.save()
    assert data_of(visitor) == {"a": 1}
