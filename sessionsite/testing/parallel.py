"""The contract among threads, and among processes that share a store's rows."""

from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any
from unittest import SkipTest

from ..sessions import Record, RecordExistsError
from .records import START, in_parallel, raised, record

ROUNDS = 20
LATER = START + timedelta(hours=2)


def increment(newest: Record) -> Record:
    return replace(newest, payload=str(int(newest.payload) + 1))


def prolong(newest: Record) -> Record:
    return replace(newest, expires_at=None)


class ParallelContract:
    """Threads that call one store at once, and two stores over the same rows."""

    def second_store(self, store: Any) -> Any:
        """Return another store over the same rows, as a second process has it."""
        raise SkipTest("write second_store(store), and what two processes do at once is tested")

    def test_of_parallel_creates_of_one_id_one_succeeds(self, store: Any) -> None:
        def create(number: int) -> bool:
            try:
                store.create(record(token_hash=str(number).encode()))
            except RecordExistsError:
                return False
            return True

        outcomes = in_parallel(8, create)
        assert sorted(outcomes) == [False] * 7 + [True]
        stored = store.load("id-a", START)
        assert stored == record(token_hash=str(outcomes.index(True)).encode())

    def test_of_parallel_saves_of_one_version_one_succeeds(self, store: Any) -> None:
        store.create(record())
        saves = in_parallel(8, lambda n: store.save(record(payload=f'{{"n": {n}}}'), 1, START))
        assert sorted(saves) == [False] * 7 + [True]
        winner = saves.index(True)
        assert store.load("id-a", START) == record(payload=f'{{"n": {winner}}}', version=2)

    def test_of_parallel_deletes_of_one_row_one_succeeds(self, store: Any) -> None:
        for _ in range(ROUNDS):
            store.create(record())
            assert sorted(in_parallel(4, lambda n: store.delete("id-a"))) == [False] * 3 + [True]

    def test_parallel_updates_wait_for_each_other(self, store: Any) -> None:
        store.create(record(payload="0"))
        in_parallel(8, lambda n: [store.update("id-a", START, increment) for _ in range(10)])
        stored = store.load("id-a", START)
        assert (stored.payload, stored.version) == ("80", 81)

    def test_a_save_beside_an_update_is_seen_by_it_or_refused(self, store: Any) -> None:
        for _ in range(ROUNDS):
            store.create(record(payload="0"))

            def work(n: int) -> Any:
                if n:
                    return store.update("id-a", START, increment)
                return store.save(record(payload="10"), 1, START)

            saved, _ = in_parallel(2, work)
            assert store.load("id-a", START).payload == ("11" if saved else "1")
            store.delete("id-a")

    def test_a_row_that_is_being_written_is_read_whole(self, store: Any) -> None:
        def payload(version: int) -> str:
            return f'{{"{"x" * 20_000}": {version}}}'

        def write() -> None:
            try:
                for version in range(1, ROUNDS):
                    assert store.save(record(payload=payload(version + 1)), version, START)
            finally:
                written.set()

        def read() -> None:
            while not written.is_set():
                row = store.load("id-a", START)
                assert row.payload == payload(row.version)

        written = Event()
        store.create(record(payload=payload(1)))
        in_parallel(3, lambda n: read() if n else write())

    def test_a_delete_beats_parallel_saves_and_updates(self, store: Any) -> None:
        for round_ in range(ROUNDS):
            store.create(record())

            def work(n: int) -> Any:
                if n == 0:
                    return store.delete("id-a")
                if n % 2:
                    return store.save(record(payload='{"n": 2}'), 1, START)
                return store.update("id-a", START, lambda r: replace(r, payload='{"n": 3}'))

            deleted, *_ = in_parallel(4, work)
            assert deleted is True
            assert store.load("id-a", START) is None, f"revived in round {round_}"

    def test_a_session_that_is_prolonged_meanwhile_is_not_pruned(self, store: Any) -> None:
        for _ in range(ROUNDS):
            store.create(record("saved"))
            store.create(record("updated"))

            def work(n: int) -> Any:
                if n == 0:
                    return store.prune(LATER, 10)
                if n == 1:
                    return store.save(record("saved", expires_at=None), 1, START)
                return store.update("id-updated", START, prolong)

            _, saved, updated = in_parallel(3, work)
            assert (store.load("id-saved", LATER) is not None) is saved
            assert store.load("id-updated", LATER) == updated
            store.delete("id-saved")
            store.delete("id-updated")

    def test_parallel_prunes_count_each_row_once(self, store: Any) -> None:
        for number in range(40):
            store.create(record(str(number), expires_at=START))
        pruned = in_parallel(4, lambda n: sum(store.prune(START, 5) for _ in range(4)))
        assert sum(pruned) + store.prune(START, 100) == 40
        assert store.prune(START, 100) == 0

    def test_two_stores_see_each_others_rows(self, store: Any) -> None:
        other = self.second_store(store)
        store.create(record())
        assert other.load("id-a", START) == record()
        assert store.load("id-a", START) == record()
        assert other.save(record(payload='{"n": 2}'), 1, START) is True
        assert store.load("id-a", START) == record(payload='{"n": 2}', version=2)
        assert store.save(record(payload='{"n": 3}'), 1, START) is False
        other.update("id-a", START, lambda newest: replace(newest, payload='{"n": 4}'))
        assert store.load("id-a", START) == record(payload='{"n": 4}', version=3)
        assert other.delete("id-a") is True
        assert store.load("id-a", START) is None
        other.close()

    def test_updates_of_two_stores_wait_for_each_other(self, store: Any) -> None:
        stores = (store, self.second_store(store))
        store.create(record(payload="0"))
        in_parallel(
            4, lambda n: [stores[n % 2].update("id-a", START, increment) for _ in range(10)]
        )
        assert store.load("id-a", START).payload == "40"
        stores[1].close()

    def test_of_calls_of_two_stores_for_one_row_one_succeeds(self, store: Any) -> None:
        stores = (store, self.second_store(store))

        def create(number: int) -> bool:
            return raised(lambda: stores[number % 2].create(record())) is None

        def save(number: int) -> Any:
            return stores[number % 2].save(record(), 1, START)

        for _ in range(ROUNDS):
            assert sorted(in_parallel(4, create)) == [False] * 3 + [True]
            assert sorted(in_parallel(4, save)) == [False] * 3 + [True]
            deleted = in_parallel(4, lambda n: stores[n % 2].delete("id-a"))
            assert sorted(deleted) == [False] * 3 + [True]
        for number in range(20):
            store.create(record(str(number), expires_at=START))
        pruned = in_parallel(4, lambda n: stores[n % 2].prune(START, 5))
        assert sum(pruned) + store.prune(START, 20) == 20
        stores[1].close()

    def test_of_two_stores_one_is_sweeping(self, store: Any) -> None:
        other = self.second_store(store)
        with store.sweeping() as turn, other.sweeping() as turn_of_other:
            assert (turn, turn_of_other) == (True, False)
        with other.sweeping() as turn_of_other, store.sweeping() as turn:
            assert (turn, turn_of_other) == (False, True)
        other.close()

    def test_close_of_one_store_leaves_the_other(self, store: Any) -> None:
        other = self.second_store(store)
        store.create(record())
        other.load("id-a", START)
        other.close()
        assert store.load("id-a", START) == record()
