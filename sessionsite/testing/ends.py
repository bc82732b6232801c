"""The contract of time, which is passed in: what has expired is absent, and is pruned."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..sessions import Sweep
from .records import START, raised, record

TICK = timedelta(microseconds=1)
LATER = START + timedelta(hours=3)


class EndContract:
    """`expires_at`, `now`, `prune`, `count_expired`, `sweeping`."""

    def test_an_expired_record_is_absent_to_the_microsecond(self, store: Any) -> None:
        store.create(record())
        end = record().expires_at
        assert end is not None
        assert store.load("id-a", end - TICK) is not None
        assert store.load("id-a", end) is None
        assert store.save(record(payload="{}"), 1, end) is False
        assert store.update("id-a", end, lambda newest: replace(newest, payload="{}")) is None
        assert store.load("id-a", end - TICK) == record()

    def test_an_expired_record_is_absent_whatever_its_tokens_were(self, store: Any) -> None:
        store.create(
            record(
                old_token_hash=b"old",
                old_token_valid=True,
                rotated_at=START,
                token_confirmed=True,
                expires_at=START,
            )
        )
        assert store.load("id-a", START) is None

    def test_an_expired_record_is_not_saved_to_life(self, store: Any) -> None:
        store.create(record(expires_at=START))
        for end in (LATER, None):
            assert store.save(record(expires_at=end), 1, START) is False
            alive = record(expires_at=end)
            assert store.update("id-a", START, lambda newest, a=alive: a) is None
        assert store.load("id-a", START) is None

    def test_a_record_without_an_end_is_never_absent(self, store: Any) -> None:
        store.create(record(expires_at=None))
        far = START + timedelta(days=36500)
        assert store.load("id-a", far) is not None
        assert store.prune(far, 10) == 0
        assert store.save(record(expires_at=None), 1, far) is True
        assert store.update("id-a", far, lambda newest: newest) is not None

    def test_the_time_is_what_is_passed_in(self, store: Any) -> None:
        for year in (2001, 2199):  # the clock is at neither
            now = datetime(year, 2, 3, 4, 5, tzinfo=UTC)
            alive = record(str(year), created_at=now, expires_at=now + TICK)
            store.create(alive)
            assert store.load(alive.id, now) == alive
            assert store.save(alive, 1, now) is True
            assert store.update(alive.id, now, lambda newest: newest) is not None
            assert store.prune(now, 10) == 0
            assert store.count_expired(now) in (None, 0)
            assert store.load(alive.id, now + TICK) is None
            assert store.save(alive, 2, now + TICK) is False
            assert store.update(alive.id, now + TICK, lambda newest: newest) is None
            assert store.count_expired(now + TICK) in (None, 1)
            assert store.prune(now + TICK, 10) == 1

    def test_prune_removes_expired_records_alone(self, store: Any) -> None:
        store.create(record("dead", expires_at=START))
        store.create(record("alive", expires_at=START + TICK))
        store.create(record("endless", expires_at=None))
        assert store.prune(START, 10) == 1
        assert store.prune(START, 10) == 0
        assert store.load("id-alive", START) == record("alive", expires_at=START + TICK)
        assert store.load("id-endless", START) == record("endless", expires_at=None)
        assert store.load("id-dead", START - timedelta(hours=1)) is None

    def test_prune_removes_at_most_the_limit(self, store: Any) -> None:
        for number in range(5):
            store.create(record(str(number), expires_at=START))
        assert [store.prune(START, 2) for _ in range(4)] == [2, 2, 1, 0]

    def test_the_limit_of_prune_may_be_more_than_any_store_holds(self, store: Any) -> None:
        for limit in (2**31, 2**32 - 1, 2**64):
            store.create(record(expires_at=START))
            assert store.prune(START, limit) == 1

    def test_a_session_whose_end_has_moved_is_pruned_by_the_new_one(self, store: Any) -> None:
        for end in (LATER, START + timedelta(minutes=1)):  # later, and earlier, than at first
            store.create(record("saved"))
            store.create(record("updated"))
            store.save(record("saved", expires_at=end), 1, START)
            store.update("id-updated", START, lambda newest, e=end: replace(newest, expires_at=e))
            assert store.prune(end - TICK, 10) == 0
            assert store.prune(end, 10) == 2

    def test_an_end_that_was_taken_away_prunes_nothing(self, store: Any) -> None:
        store.create(record("saved"))
        store.create(record("updated"))
        store.save(record("saved", expires_at=None), 1, START)
        store.update("id-updated", START, lambda newest: replace(newest, expires_at=None))
        assert store.prune(LATER, 10) == 0
        store.save(record("saved"), 2, START)
        store.update("id-updated", START, lambda newest: replace(newest, expires_at=START))
        assert store.prune(LATER, 10) == 2

    def test_a_pruned_id_can_be_created_again(self, store: Any) -> None:
        store.create(record(expires_at=START))
        store.prune(START, 10)
        store.create(record())
        assert store.load("id-a", START) == record()
        assert store.prune(START, 10) == 0

    def test_count_expired_is_exact_or_none(self, store: Any) -> None:
        assert store.count_expired(START) in (None, 0)
        for number in range(3):
            store.create(record(str(number), expires_at=START))
        store.create(record("alive", expires_at=START + TICK))
        store.create(record("endless", expires_at=None))
        assert store.count_expired(START) in (None, 3)
        store.prune(START, 2)
        assert store.count_expired(START) in (None, 1)
        store.prune(START, 2)
        assert store.count_expired(START) in (None, 0)

    def test_the_last_pruning_that_was_noted_is_returned_or_none(self, store: Any) -> None:
        for rows in (1, 2):
            noted = Sweep(START, rows, 0.5)
            store.note_sweep(noted)
            assert store.last_sweep() in (None, noted)

    def test_sweeping_has_its_turn_again_and_again(self, store: Any) -> None:
        store.create(record(expires_at=START))
        for _ in range(3):
            with store.sweeping() as turn:
                assert turn is True
                store.prune(START, 10)
        with suppress(ZeroDivisionError), store.sweeping():
            raise ZeroDivisionError
        with store.sweeping() as turn:
            assert turn is True

    def test_an_error_while_sweeping_reaches_the_caller(self, store: Any) -> None:
        def fail() -> None:
            with store.sweeping():
                raise ZeroDivisionError

        assert isinstance(raised(fail), ZeroDivisionError)
