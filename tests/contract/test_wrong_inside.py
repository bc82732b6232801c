"""Data that is wrong inside never wedges a session: a new one takes its place, with a warning."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from webob.cookies import SignedSerializer

from sessionsite.sessions import PayloadError, SessionEndedError, StoreError
from tests.contract.kit import SECRET, Kit, begin, data_of, on_servers, stored
from tests.harness.visitor import Visitor

WRONG = [
    "[]", "1", '"x"', "null", "", "{", '{"a": 1e400}', '{"a": -1e999}', '{"a": NaN}',
    '{"a": [{"b": Infinity}]}', '{"_f_": 5}', '{"_f_": "ab"}', '{"_f_queue": {"0": "x"}}',
    '{"_f_": null}', '{"_csrft_": 5}', '{"_csrft_": ["x"]}', '{"_csrft_": null}',
    '{"_csrft_": "\\ud800"}', '{"_csrft_": "\\u001f"}',
    '{"a": 1' + "0" * 5000 + "}", '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
]  # fmt: skip
METHODS: list[Callable[[Any], Any]] = [
    lambda s: s.flash("x"),
    lambda s: s.pop_flash(),
    lambda s: s.peek_flash("queue"),
    lambda s: s.get_csrf_token(),
    lambda s: s.new_csrf_token(),
    lambda s: s.invalidate(),
    lambda s: s.changed(),
    lambda s: s.setdefault("n", 1),
    lambda s: s.transact(lambda session: session.update(n=1)),
]


def put(kit: Kit, visitor: Visitor, payload: str) -> bool:
    """Put `payload` where the visitor's session is kept, with the real secret.

    Returns whether it is there now: PostgreSQL's column takes no text that is not JSON.
    """
    if kit.on_a_server:
        record = stored(kit, visitor)
        assert record
        try:
            kit.store.update(record.id, kit.clock.now, lambda r: replace(r, payload=payload))
        except StoreError:
            assert kit.kind == "postgresql"
            return False
    else:
        put_cookie(visitor, f"[{int(kit.clock.time())},{int(kit.clock.time())},{payload}]")
    return True


def put_cookie(visitor: Visitor, text: str) -> None:
    """Sign `text` as the cookie factory signs its own."""
    signer = SignedSerializer(SECRET, "sessionsite.cookie.", "sha512", serializer=Text())
    visitor.cookies["sessionsite"] = signer.dumps(text).decode()


class Text:
    """A serializer that leaves a text as it is."""

    def dumps(self, appstruct: str) -> bytes:
        return appstruct.encode()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize("payload", WRONG, ids=lambda text: text[:20])
class TestAPayload:
    def test_cs_input_it_is_a_new_session_and_one_warning(
        self, kit: Kit, payload: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        visitor = begin(kit)
        record = stored(kit, visitor) if kit.on_a_server else None
        if not put(kit, visitor, payload):
            return
        caplog.clear()
        with visitor.request() as session:
            assert (dict(session), session.new) == ({}, True)
            (line,) = warnings(caplog)
            assert record is None or record.id in line
            session["b"] = 2
        assert data_of(visitor) == {"b": 2}


@pytest.mark.parametrize("method", METHODS, ids=range(len(METHODS)))
@pytest.mark.parametrize(
    "payload", ['{"_f_": 5, "_f_queue": 5, "_csrft_": 5}', '{"a": 1e400}', "["]
)
def test_cs_input_no_method_fails(kit: Kit, method: Callable[[Any], Any], payload: str) -> None:
    visitor = begin(kit)
    put(kit, visitor, payload)
    with visitor.request() as session:
        method(session)
    with visitor.request() as session:
        session["b"] = 2
    assert data_of(visitor)["b"] == 2


@on_servers
@pytest.mark.parametrize("payload", ["[]", '{"_f_": 5}', '{"a": 1e400}'])
class TestUnderARequestInFlight:
    def test_cs_input_a_save_replaces_it(self, kit: Kit, payload: str) -> None:
        visitor = begin(kit)
        request = visitor.open()
        put(kit, visitor, payload)
        request.session["b"] = 2
        visitor.close(request)
        assert visitor.open().session == {"a": 1, "b": 2}

    def test_cs_input_a_reload_says_that_the_session_has_ended(
        self, kit: Kit, payload: str
    ) -> None:
        visitor = begin(kit)
        request = visitor.open()
        put(kit, visitor, payload)
        with pytest.raises(SessionEndedError, match="can't be read"):
            request.session.reload()
        visitor.close(request)
        assert visitor.open().session.new


@on_servers
@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"created_at": datetime(1, 1, 2, tzinfo=UTC)},
        {"seen_at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"rotated_at": datetime(9999, 12, 31, tzinfo=UTC)},
        {"rotated_at": datetime(1, 1, 2, tzinfo=UTC), "created_at": datetime(1, 1, 2, tzinfo=UTC)},
    ],
    ids=str,
)
def test_cs_input_times_that_are_out_of_range_are_a_new_session(
    kit: Kit, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    visitor = kit.visitor()
    record = None
    with visitor.request() as session:
        session["a"] = 1
    record = stored(kit, visitor)
    assert record
    kit.store.delete(record.id)
    kit.store.create(replace(record, **changes))
    with visitor.request() as session:
        assert session.new
        session["b"] = 2
    assert data_of(visitor) == {"b": 2}
    assert record.id in "".join(warnings(caplog))


@pytest.mark.parametrize(
    "text",
    ["[1e400,1,{}]", "[99999999999999999999,1,{}]", "[1,99999999999999999999,{}]", "[true,1,{}]",
     "[-1,1,{}]", "[1.5,1,{}]", "[1,1]", "[1,1,{},{}]", '["1",1,{}]', "[99999999999,1,{}]", "{}"],
)  # fmt: skip
@pytest.mark.parametrize("kit", ["cookie"], indirect=True)
def test_cs_input_a_well_signed_cookie_of_another_shape_is_a_new_session(
    kit: Kit, text: str
) -> None:
    visitor = begin(kit)
    put_cookie(visitor, text.replace("[1,", f"[{int(kit.clock.time())},"))
    with visitor.request() as session:
        assert session.new
        session["b"] = 2
    assert data_of(visitor) == {"b": 2}


@on_servers
class TestSize:
    def test_bounds_a_change_past_max_bytes_is_an_error_that_names_the_largest_key(
        self, kit: Kit
    ) -> None:
        visitor = begin(kit, max_bytes="1000")
        request = visitor.open()
        request.session.update(small="x" * 10, large="x" * 2000)
        with pytest.raises(PayloadError, match=r"session\['large'\].*") as caught:
            request.session.save()
        assert "session.max_bytes holds 1000" in str(caught.value)
        assert visitor.open().session == {"a": 1}

    def test_bounds_it_holds_for_a_new_session_and_in_a_transaction(self, kit: Kit) -> None:
        visitor = kit.visitor(max_bytes="1000")
        with pytest.raises(PayloadError), visitor.request() as session:
            session["large"] = "x" * 2000
        visitor = begin(kit, max_bytes="1000")
        with pytest.raises(PayloadError), visitor.request() as session:
            session.transact(lambda s: s.update(large="x" * 2000))
        assert data_of(visitor) == {"a": 1}

    def test_bounds_a_session_that_is_too_large_already_can_live_on_and_shrink(
        self, kit: Kit
    ) -> None:
        visitor = begin(kit, {"large": "x" * 2000, "n": 1})
        lowered = Visitor(kit.factory(max_bytes="1000"), **visitor.cookies)
        with lowered.request() as session:
            session["n"] = 2
        with lowered.request() as session:
            del session["large"]
        assert data_of(lowered) == {"n": 2}

    def test_bounds_a_merge_that_makes_it_larger_keeps_both_sides(self, kit: Kit) -> None:
        visitor = begin(kit, {"log": []}, max_bytes="1000")
        one, two = visitor.open(), visitor.open()
        one.session["log"].append("x" * 900)
        two.session["log"].append("y" * 900)
        visitor.close(one)
        visitor.close(two)
        assert [len(each) for each in data_of(visitor)["log"]] == [900, 900]
