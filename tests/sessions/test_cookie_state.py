"""What a cookie of the cookie factory holds: read as it was written, and nothing else."""

import pytest

from sessionsite.sessions.cookie_state import CookieState, CookieStateSerializer
from sessionsite.sessions.own import UNSET, Own

ID = "A" * 22
SERIALIZER = CookieStateSerializer()


@pytest.mark.parametrize(
    "own",
    [
        Own(),
        Own(owner="user:42"),
        Own(owner='"]}', label='","AAAAAAAAAAAAAAAAAAAAAA",{"owner":"admin"}]', timeout=0),
        Own(timeout=60, lifetime=3600, persistent=True),
        Own(persistent=False),
    ],
)
@pytest.mark.parametrize(
    "payload",
    ["{}", '{"a":[1,{"b":"]"}]}', '{"a":["x","AAAAAAAAAAAAAAAAAAAAAA",{"owner":"admin"}]}'],
)
def test_it_comes_back_as_it_was(own: Own, payload: str) -> None:
    state = CookieState(1_700_000_000, 1_600_000_000, payload, ID, own)
    assert SERIALIZER.loads(SERIALIZER.dumps(state)) == state


@pytest.mark.parametrize(
    "own",
    ['{"owner":1}', '{"owner":""}', '{"label":[]}', '{"timeout":-1}', '{"timeout":1.5}',
     '{"lifetime":"1"}', '{"persistent":1}', '{"nobody":"knows"}', "[]", "{", "null"],
)  # fmt: skip
def test_what_is_wrong_inside_is_refused(own: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds
        SERIALIZER.loads(f'[1,1,{{}},"{ID}",{own}]'.encode())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "[1,1]", "[1,1,{}", "[1,1,{}]]", '[1,1,{},"short"]', "[1,1,{},]", "[1,1,[]]",
     "[999999999999,1,{}]", "[99999999999,1,{}]", "[1,1," + "[" * 100_000, "[1,1,nonsense]"],
)  # fmt: skip
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds
        SERIALIZER.loads(text.encode())


def test_a_cookie_of_an_earlier_version_gets_an_id() -> None:
    assert len(SERIALIZER.loads(b'[1,1,{"a":1}]').id) == 22


def test_a_parameter_that_is_not_given_shows_as_such() -> None:
    assert repr(UNSET) == "as it is"
