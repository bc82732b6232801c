"""Which end a session of the server factory has, and when a read writes it; on every store."""

from datetime import timedelta

from tests.contract.kit import Kit, begin, on_servers, stored, version

pytestmark = on_servers


def test_without_an_idle_end_the_absolute_one_stands(kit: Kit) -> None:
    visitor = begin(kit, timeout="none", lifetime="300")
    kit.clock.move(299)
    assert visitor.open().session.expires_at == kit.clock.start + timedelta(seconds=300)
    kit.clock.move(1)
    assert visitor.open().session.new


def test_without_an_absolute_end_the_idle_one_stands(kit: Kit) -> None:
    visitor = begin(kit, timeout="90", lifetime="none", reissue_time="10")
    for _ in range(3):
        kit.clock.move(89)
        with visitor.request() as session:
            assert not session.new
            assert session.expires_at == kit.clock.now + timedelta(seconds=90)
    kit.clock.move(90)
    assert visitor.open().session.new


def test_a_session_without_an_end_is_not_written_by_a_read(kit: Kit) -> None:
    visitor = begin(kit, timeout="none", lifetime="none", allow_insecure="endless")
    kit.clock.move(86400)
    with visitor.request() as session:
        assert session.expires_at is None
    assert version(kit, visitor) == 1


def test_an_end_that_moves_no_more_is_not_written_again(kit: Kit) -> None:
    visitor = begin(kit, timeout="200", lifetime="300", reissue_time="0")
    kit.clock.move(150)
    for _ in range(3):
        with visitor.request():
            pass
        kit.clock.move(10)
        assert version(kit, visitor) == 2  # the absolute end, once


def test_limits_that_are_set_later_reach_the_sessions_that_had_none(kit: Kit) -> None:
    visitor = begin(kit, timeout="none", lifetime="none", allow_insecure="endless")
    visitor.factory = kit.factory(timeout="90", lifetime="none")
    with visitor.request():
        pass
    record = stored(kit, visitor)
    assert record
    assert record.expires_at == kit.clock.now + timedelta(seconds=90)


def test_limits_that_are_taken_away_end_no_session(kit: Kit) -> None:
    visitor = begin(kit, timeout="90")
    visitor.factory = kit.factory(timeout="none", lifetime="none", allow_insecure="endless")
    with visitor.request():
        pass
    kit.clock.move(86400)
    assert visitor.open().session == {"a": 1}
