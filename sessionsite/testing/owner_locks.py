"""The contract of an owner's lock: one caller at a time, in any process, and all or nothing."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread
from time import sleep
from typing import Any

from ..sessions import Record
from .parallel import ParallelContract
from .records import START, in_parallel, raised, record


def owned(name: str, owner: str | None = "user:42", **changes: Any) -> Record:
    return record(name, owner=owner, **changes)


def ids(summaries: Any) -> list[str]:
    return [summary.id for summary in summaries]


class OwnerLockContract(ParallelContract):
    """`with_owner_locked`, and `end_owner` beside other calls."""

    @staticmethod
    def _end_while(
        store: Any, change: Callable[[Record], Record], end: Callable[[], Any] | None = None
    ) -> list[str]:
        """Return what `end` ends, or `end_owner`, called while `change` has the row's lock."""
        end = end or (lambda: store.end_owner("user:42", START))
        inside, go_on = Event(), Event()

        def slowly(newest: Record) -> Record:
            inside.set()
            go_on.wait(10)
            return change(newest)

        ended: list[str] = []
        changing = Thread(target=store.update, args=("id-a", START, slowly))
        ending = Thread(target=lambda: ended.extend(ids(end())))
        changing.start()
        assert inside.wait(10)
        ending.start()
        ending.join(0.2)  # it waits for the row
        go_on.set()
        changing.join()
        ending.join()
        return ended

    def test_end_owner_ends_a_row_that_is_being_changed(self, store: Any) -> None:
        store.create(owned("a"))
        assert self._end_while(store, lambda row: replace(row, payload="{}")) == ["id-a"]
        assert store.load("id-a", START) is None

    def test_end_owner_leaves_a_row_that_is_leaving_the_owner(self, store: Any) -> None:
        store.create(owned("a"))
        assert self._end_while(store, lambda row: replace(row, owner=None)) == []
        assert store.load("id-a", START) == record(version=2)

    def test_end_older_leaves_a_row_that_is_being_used(self, store: Any) -> None:
        def end() -> list[Any]:
            return [each for batch in store.end_older(START, START, START) for each in batch]

        store.create(owned("a"))
        assert self._end_while(store, lambda row: replace(row, seen_at=START), end) == []
        assert store.load("id-a", START) == owned("a", seen_at=START, version=2)

    @staticmethod
    def _add_up_to(limit: int, store: Any, number: int) -> bool:
        """Add a session if there are fewer than `limit`, under the owner's lock; return whether."""

        def work() -> bool:
            if len(store.sessions_of("user:42", START)) >= limit:
                return False
            sleep(0.002)  # whoever is not kept out comes in now
            store.create(owned(str(number)))
            return True

        added: bool = store.with_owner_locked("user:42", work)
        return added

    def test_one_caller_at_a_time_has_an_owners_lock(self, store: Any) -> None:
        for _ in range(5):
            assert (
                sorted(in_parallel(8, lambda n: self._add_up_to(2, store, n)))
                == [False] * 6 + [True] * 2
            )
            assert len(store.end_owner("user:42", START)) == 2

    def test_of_two_stores_one_has_an_owners_lock(self, store: Any) -> None:
        stores = (store, self.second_store(store))
        for _ in range(5):
            added = in_parallel(8, lambda n: self._add_up_to(1, stores[n % 2], n))
            assert sorted(added) == [False] * 7 + [True]
            assert len(stores[1].sessions_of("user:42", START)) == 1
            assert len(store.end_owner("user:42", START)) == 1
        stores[1].close()

    def test_what_is_done_under_an_owners_lock_is_seen_there_and_stays(self, store: Any) -> None:
        for name in "acd":
            store.create(owned(name))

        def work() -> list[str]:
            store.create(owned("b"))
            assert store.save(owned("a", payload="{}"), 1, START) is True
            store.update("id-c", START, lambda newest: replace(newest, owner=None))
            assert store.delete("id-d") is True
            return ids(store.sessions_of("user:42", START))

        assert store.with_owner_locked("user:42", work) == ["id-a", "id-b"]
        assert ids(store.sessions_of("user:42", START)) == ["id-a", "id-b"]
        assert store.load("id-a", START) == owned("a", payload="{}", version=2)

        def fail() -> None:
            store.end_owner("user:42", START)
            raise ZeroDivisionError

        # nothing of the call before is left over
        assert isinstance(
            raised(lambda: store.with_owner_locked("user:42", fail)), ZeroDivisionError
        )
        assert ids(store.sessions_of("user:42", START)) == ["id-a", "id-b"]

    def test_what_is_done_under_an_owners_lock_is_undone_by_an_error(self, store: Any) -> None:
        class Interruption(BaseException):
            pass

        before = [owned("a"), owned("c", label="c"), owned("d")]
        for each in before:
            store.create(each)
        for error in (ZeroDivisionError(), OSError(5, "the app's"), Interruption()):

            def work(error: BaseException = error) -> None:
                store.create(owned("b"))
                store.save(owned("a", payload="{}"), 1, START)
                store.update("id-c", START, lambda newest: replace(newest, owner=None, label=None))
                store.delete("id-d")
                store.end_owner("user:42", START, "id-b")
                raise error

            assert raised(lambda w=work: store.with_owner_locked("user:42", w)) is error  # type: ignore[misc]
            assert [store.load(each.id, START) for each in before] == before
            assert store.load("id-b", START) is None
            assert len(store.sessions_of("user:42", START)) == 3
        # the lock is held against no other thread
        work_of_another = in_parallel(1, lambda _: store.with_owner_locked("user:42", lambda: 7))
        assert work_of_another == [7]

    def test_an_owners_lock_is_not_in_the_way_of_other_owners(self, store: Any) -> None:
        """Where writers wait for each other, they at least do not wait for ever."""

        def add(number: int) -> None:
            owner = f"user:{number}"
            store.with_owner_locked(owner, lambda: store.create(owned(str(number), owner)))

        in_parallel(8, add)
        assert [len(store.sessions_of(f"user:{n}", START)) for n in range(8)] == [1] * 8
