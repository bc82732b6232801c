"""What the server factory promises beyond `ISession`, on every store."""

import base64
import hashlib
import logging
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from pyramid_retry import RetryableException

from sessionsite.sessions.server.token_cookie import Credentials
from sessionsite.sessions.store import SessionEndedError
from tests.contract.kit import Kit, begin, on_servers, stored, version
from tests.harness.visitor import Visitor

pytestmark = on_servers


class TestSaving:
    def test_a_change_deep_inside_is_seen_with_no_call(self, kit: Kit) -> None:
        visitor = begin(kit, {"cart": {"items": [{"n": 1}]}})
        with visitor.request() as session:
            session["cart"]["items"][0]["n"] += 1
        assert visitor.open().session == {"cart": {"items": [{"n": 2}]}}

    def test_an_unchanged_session_is_not_written(self, kit: Kit) -> None:
        visitor = begin(kit)
        kit.clock.move(100)
        with visitor.request() as session:
            session["a"] = 1
            session.changed()
        assert version(kit, visitor) == 1

    def test_the_cookie_is_sent_once(self, kit: Kit) -> None:
        visitor = begin(kit)
        assert len(visitor.set_cookie) == 1
        kit.clock.move(200)
        with visitor.request() as session:
            session["a"] = 2
        assert visitor.set_cookie == []

    def test_save_stores_at_once_and_again_what_comes_after(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        request.session["a"] = 2
        request.session.save()
        assert visitor.open().session == {"a": 2}
        request.session["b"] = 3
        visitor.close(request)
        assert visitor.open().session == {"a": 2, "b": 3}
        assert version(kit, visitor) == 3

    def test_reload_drops_what_is_pending_and_takes_the_newest(self, kit: Kit) -> None:
        visitor = begin(kit)
        request = visitor.open()
        with visitor.request() as session:
            session["b"] = 2
        request.session["c"] = 3
        request.session.reload()
        assert request.session == {"a": 1, "b": 2}
        with visitor.request() as session:
            session.invalidate()
        with pytest.raises(SessionEndedError):
            request.session.reload()

    def test_reload_of_a_session_that_is_not_stored_empties_it(self, kit: Kit) -> None:
        session = kit.visitor().open().session
        session["a"] = 1
        session.reload()
        assert (session, session.new) == ({}, True)

    def test_changes_that_pyramid_retry_will_discard_are_not_stored(self, kit: Kit) -> None:
        visitor = begin(kit)
        for attempt, expected in ((0, {"a": 1}), (1, {"a": 2})):
            request = visitor.open()
            request.environ |= {"retry.attempt": attempt, "retry.attempts": 2}
            request.exception = RetryableException()
            request.session["a"] = 2
            visitor.close(request)
            assert visitor.open().session == expected


def test_the_size_is_that_of_the_stored_payload(kit: Kit) -> None:
    visitor = kit.visitor()
    with visitor.request() as session:
        assert session.size == 0
        session["a"] = "é"
        assert session.size == 0  # it is not stored yet
        session.save()
        assert session.size == len('{"a":"\\u00e9"}')
    with visitor.request() as session:
        assert session.size == len('{"a":"\\u00e9"}')
        session["a"] = "b" * 100
    record = stored(kit, visitor)
    assert record
    session = visitor.open().session
    assert session.size == len(record.payload) == 108
    session.invalidate()
    assert session.size == 0


class TestExpiry:
    def test_it_is_pushed_when_due_and_not_before(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200", reissue_time="120")
        kit.clock.move(119)
        with visitor.request():
            pass
        assert version(kit, visitor) == 1
        kit.clock.move(1)
        with visitor.request():
            pass
        record = stored(kit, visitor)
        assert record is not None
        assert (record.version, record.seen_at) == (2, kit.clock.now)
        assert record.expires_at == kit.clock.now + timedelta(seconds=1200)

    def test_a_change_leaves_an_expiry_alone_that_is_not_due(self, kit: Kit) -> None:
        visitor = begin(kit)
        before = stored(kit, visitor)
        kit.clock.move(100)
        with visitor.request() as session:
            session["a"] = 2
        record = stored(kit, visitor)
        assert before
        assert record
        assert record.expires_at == before.expires_at
        assert record.seen_at == kit.clock.now

    def test_touch_pushes_it_at_once(self, kit: Kit) -> None:
        visitor = begin(kit)
        kit.clock.move(1)
        with visitor.request() as session:
            session.touch()
        record = stored(kit, visitor)
        assert record
        assert record.expires_at == kit.clock.now + timedelta(seconds=1200)

    def test_asvs_7_3_2_the_absolute_end_comes_whatever_happens(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="90", lifetime="300", reissue_time="10")
        for _ in range(4):
            kit.clock.move(70)
            with visitor.request() as session:
                assert session["a"] == 1
                session.touch()
                session["n"] = session.get("n", 0) + 1
        kit.clock.move(19)
        with visitor.request() as session:
            assert session.expires_at == kit.clock.now + timedelta(seconds=1)
            session.regenerate()
        kit.clock.move(1)
        assert visitor.open().session.new

    def test_asvs_7_3_1_it_is_at_most_reissue_time_early_and_never_late(self, kit: Kit) -> None:
        visitor = begin(kit, timeout="1200", reissue_time="120")
        kit.clock.move(119)
        with visitor.request():
            pass
        kit.clock.move(1200 - 119 - 1)
        assert not visitor.open().session.new
        kit.clock.move(1)
        assert visitor.open().session.new

    def test_seen_at_and_expires_at_tell_the_visitor(self, kit: Kit) -> None:
        visitor = begin(kit)
        start = kit.clock.now
        kit.clock.move(60)
        session = visitor.open().session
        assert session.seen_at == start
        assert session.expires_at == start + timedelta(seconds=1200)


class TestTokens:
    def test_cs_at_rest_nothing_in_the_table_opens_a_session(self, kit: Kit) -> None:
        visitor = begin(kit)
        with visitor.request() as session:
            session.regenerate()
        record = stored(kit, visitor)
        assert record
        assert record.old_token_hash
        id_ = record.id.encode()
        values = (id_, record.token_hash, record.old_token_hash, record.payload.encode())
        for value in values:
            for text in (value.decode("latin-1"), base64.urlsafe_b64encode(value).decode()):
                assert visitor.open(HTTP_COOKIE=f"sessionsite={text}").session.new
            # and signed with the real secret: the value as a token, with the id and without it
            for token in (value, hashlib.sha256(value).digest(), value[:32].ljust(32)):
                for id_text in (record.id, ""):
                    assert visitor.open(HTTP_COOKIE=signed(visitor, id_text, token)).session.new

    def test_the_id_is_public_and_stays(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["a"] = 1
            first = session.id
        with visitor.request() as session:
            assert session.id == first
            session.regenerate()
        assert visitor.open().session.id == first

    def test_asvs_7_2_1_the_id_without_its_token_opens_nothing(self, kit: Kit) -> None:
        visitor = begin(kit)
        record = stored(kit, visitor)
        assert record
        for token in (bytes(32), b"", record.id.encode(), secrets.token_bytes(32)):
            assert visitor.open(HTTP_COOKIE=signed(visitor, record.id, token)).session.new

    def test_asvs_7_2_1_the_token_of_one_session_opens_no_other(self, kit: Kit) -> None:
        owner, thief = begin(kit), begin(kit)
        (credentials,) = thief.factory.cookie.read(thief.open())  # type: ignore[attr-defined]
        record = stored(kit, owner)
        assert record
        forged = signed(thief, record.id, credentials.token)
        assert thief.open(HTTP_COOKIE=forged).session.new

    def test_asvs_7_2_3_a_token_has_256_bits_and_the_store_its_hash(self, kit: Kit) -> None:
        visitor = begin(kit)
        (credentials,) = visitor.factory.cookie.read(visitor.open())  # type: ignore[attr-defined]
        assert len(credentials.token) == 32
        record = stored(kit, visitor)
        assert record
        assert record.token_hash == hashlib.sha256(credentials.token).digest()

    def test_a_store_that_answers_with_another_row_opens_nothing(self, kit: Kit) -> None:
        visitor = begin(kit)
        record = stored(kit, visitor)
        assert record
        kit.store.load = lambda *_: replace(record, id="another")
        assert visitor.open().session.new

    def test_cs_strict_a_signed_token_without_a_row_is_never_adopted(self, kit: Kit) -> None:
        visitor = begin(kit)
        planted = visitor.cookies["sessionsite"]
        with visitor.request() as session:
            session.invalidate()
        victim = Visitor(visitor.factory, sessionsite=planted)
        with victim.request() as session:
            session["user"] = "victim"
        assert victim.cookies["sessionsite"] != planted
        assert Visitor(visitor.factory, sessionsite=planted).open().session == {}

    def test_cs_log_what_is_logged_holds_no_token(
        self, kit: Kit, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        visitor = begin(kit)
        first = visitor.cookies["sessionsite"]
        with visitor.request() as session:
            session.regenerate()
            name = session.id
        second = visitor.cookies["sessionsite"]
        with visitor.request() as session:
            session.invalidate()
        visitor.open(HTTP_COOKIE="sessionsite=planted")
        text = caplog.text
        assert [text.count(f"Session {name}: {event}") for event in
                ("created", "new token", "ended")] == [1, 1, 1]  # fmt: skip
        assert "did not issue" in text
        assert not any(value in text for value in (first, second, "planted"))


def signed(visitor: Visitor, id: str, token: bytes) -> str:
    """Return the Cookie header that the factory itself would sign for `id` and `token`."""
    signer = visitor.factory.cookie._signer  # type: ignore[attr-defined]
    return f"sessionsite={signer.dumps(Credentials(id, token)).decode()}"
