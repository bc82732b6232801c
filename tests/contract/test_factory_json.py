"""What a session can hold, with every factory: JSON, by `json.dumps`'s rules."""

import json
from typing import Any

import pytest

from sessionsite.sessions.payload import PayloadError
from tests.contract.kit import Kit, data_of


class TestJSON:
    @pytest.mark.parametrize(
        "value",
        ["\x00", "\ud800", "é😀'\"\\\n</script>", "", 10**40, -0.1, 1e300, True, None, [], {},
         [[[{"a": [None]}]]], {"": {"x": 1}}, " " * 300],
        ids=repr,
    )  # fmt: skip
    def test_what_json_can_hold_comes_back_as_it_was(self, kit: Kit, value: Any) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["key"] = value
        stored = data_of(visitor)["key"]
        assert json.dumps(stored) == json.dumps(value)
        assert type(stored) is type(value)

    def test_a_tuple_comes_back_as_a_list(self, kit: Kit) -> None:
        visitor = kit.visitor()
        with visitor.request() as session:
            session["tuple"] = (1, (2,))
        assert data_of(visitor) == {"tuple": [1, [2]]}

    @pytest.mark.parametrize(
        ("value", "named", "why"),
        [
            ({"born": {1, 2}}, "session['bad']['born']", "set"),
            ([1, b"x"], "session['bad'][1]", "bytes"),
            ([[1], b"x"], "session['bad'][1]", "bytes"),
            (float("nan"), "session['bad']", "nan"),
            ({"x": [float("inf")]}, "session['bad']['x'][0]", "inf"),
            ({(1, 2): 3}, "session['bad'][(1, 2)]", "tuple"),
            (object(), "session['bad']", "object"),
            (10**5000, "session['bad']", "digits"),
        ],
        ids=["set", "bytes", "bytes-after-a-list", "nan", "infinity", "key", "object", "number"],
    )
    def test_what_json_cannot_hold_is_named(
        self, kit: Kit, value: Any, named: str, why: str
    ) -> None:
        request = kit.visitor().open()
        request.session["good"] = 1
        request.session["bad"] = value
        with pytest.raises(PayloadError) as caught:
            request.session.save_for_response(request)
        assert named in str(caught.value)
        assert why in str(caught.value)

    def test_a_circle_is_named(self, kit: Kit) -> None:
        request = kit.visitor().open()
        circle: list[Any] = []
        circle.append(circle)
        request.session["circle"] = circle
        with pytest.raises(PayloadError, match=r"session\['circle'\].*itself"):
            request.session.save_for_response(request)

    def test_nesting_without_end_is_an_error_that_names_the_key(self, kit: Kit) -> None:
        request = kit.visitor().open()
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        request.session["deep"] = deep
        with pytest.raises(PayloadError, match=r"session\['deep'\].*deep"):
            request.session.save_for_response(request)
