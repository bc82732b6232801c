"""The contract of an `OwnerStore`: lists and ends by owner, and the lock per owner."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from ..sessions import RESERVED_OWNER, OwnerStore, Record, SessionCounts, SessionSummary
from .contract import StoreContract
from .records import START, in_parallel, raised, record
from .rows import FULL

SECOND = timedelta(seconds=1)
FAR = START + timedelta(days=1)
OWNERS = ("user:42", "User:42", "user:4", "user:42 ", "%", "'", "é\U0001f600", "x" * 255)


def owned(name: str, owner: str | None = "user:42", **changes: Any) -> Record:
    return record(name, owner=owner, **changes)


def ids(summaries: Any) -> list[str]:
    return [summary.id for summary in summaries]


class OwnerContract(StoreContract):
    """What an `OwnerStore` promises, beside what a `SessionStore` does."""

    def test_it_is_an_owner_store(self, store: Any) -> None:
        assert isinstance(store, OwnerStore)

    def test_save_leaves_the_owner_alone_and_update_changes_it(self, store: Any) -> None:
        store.create(owned("a", label="here"))
        assert store.save(record(payload="{}"), 1, START)
        assert store.load("id-a", START) == owned("a", label="here", payload="{}", version=2)
        for owner in ("user:43", None, "user:42"):
            store.update("id-a", START, lambda newest, o=owner: replace(newest, owner=o))
            assert store.load("id-a", START).owner == owner
            assert ids(store.sessions_of("user:42", START)) == ["id-a"] * (owner == "user:42")

    def test_sessions_of_finds_the_owners_own_the_last_used_first(self, store: Any) -> None:
        for number, name in enumerate("bac"):
            store.create(owned(name, seen_at=START - number * SECOND))
        store.create(owned("d", seen_at=START - SECOND))
        store.create(owned("other", "user:43"))
        store.create(record("nobody"))
        assert ids(store.sessions_of("user:42", START)) == ["id-b", "id-a", "id-d", "id-c"]
        assert list(store.sessions_of("user:44", START)) == []

    def test_owners_that_look_alike_are_different(self, store: Any) -> None:
        for number, owner in enumerate(OWNERS):
            store.create(owned(str(number), owner))
        for number, owner in enumerate(OWNERS):
            assert ids(store.sessions_of(owner, START)) == [f"id-{number}"]
            assert ids(store.end_owner(owner, START)) == [f"id-{number}"]

    def test_a_summary_has_all_that_may_be_seen(self, store: Any) -> None:
        full = replace(FULL, owner="user:42", label="Firefox on Debian", lifetime=60)
        store.create(full)
        expected = SessionSummary.of(full)
        assert list(store.sessions_of("user:42", START)) == [expected]
        assert list(store.latest(START, 1)) == [expected]
        assert list(store.end_owner("user:42", START)) == [expected]

    def test_what_has_expired_is_absent(self, store: Any) -> None:
        store.create(owned("a", expires_at=START))
        assert list(store.sessions_of("user:42", START)) == []
        assert list(store.end_owner("user:42", START)) == []
        assert list(store.latest(START, 10)) == []
        assert [each for batch in store.end_older(START, FAR, FAR) for each in batch] == []
        assert ids(store.prune_batch(START, 10)) == ["id-a"]

    def test_end_owner_ends_the_owners_own_and_no_other(self, store: Any) -> None:
        for name in "abc":
            store.create(owned(name))
        store.create(owned("other", "user:43"))
        store.create(record("nobody"))
        assert sorted(ids(store.end_owner("user:42", START, "id-b"))) == ["id-a", "id-c"]
        assert [store.load(f"id-{name}", START) is None for name in "abc"] == [True, False, True]
        assert ids(store.end_owner("user:42", START)) == ["id-b"]
        assert list(store.end_owner("user:42", START)) == []
        for name in ("other", "nobody"):
            assert store.load(f"id-{name}", START) is not None

    def test_a_session_that_was_ended_is_not_saved_to_life(self, store: Any) -> None:
        store.create(owned("a"))
        store.end_owner("user:42", START)
        assert store.save(owned("a"), 1, START) is False
        assert store.update("id-a", START, lambda newest: newest) is None

    @staticmethod
    def _end_while(store: Any, change: Callable[[Record], Record]) -> list[str]:
        """Return what `end_owner` ends that is called while `change` has the row's lock."""
        inside, go_on = Event(), Event()

        def slowly(newest: Record) -> Record:
            inside.set()
            go_on.wait(10)
            return change(newest)

        ended: list[str] = []
        changing = Thread(target=store.update, args=("id-a", START, slowly))
        ending = Thread(target=lambda: ended.extend(ids(store.end_owner("user:42", START))))
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

    def test_latest_gives_those_that_end_last(self, store: Any) -> None:
        for number, name in enumerate("bca"):
            store.create(record(name, expires_at=START + (number + 1) * SECOND))
        store.create(record("endless", expires_at=None))
        assert ids(store.latest(START, 10)) == ["id-endless", "id-a", "id-c", "id-b"]
        assert ids(store.latest(START, 2)) == ["id-endless", "id-a"]

    def test_end_older_ends_what_is_older_by_both_times(self, store: Any) -> None:
        for name in "BaCb":  # no database's collation is to matter
            store.create(owned(name, created_at=START - 2 * SECOND, seen_at=START - SECOND))
        store.create(record("young", created_at=START - SECOND, seen_at=START - SECOND))
        store.create(record("used", created_at=START - 2 * SECOND, seen_at=START))
        batches = store.end_older(START, START - SECOND, START)
        ended = [each for batch in batches for each in batch]
        assert sorted(ids(ended)) == ["id-B", "id-C", "id-a", "id-b"]
        assert {each.owner for each in ended} == {"user:42"}
        assert sorted(ids(store.latest(START, 10))) == ["id-used", "id-young"]

    def test_prune_batch_tells_what_it_has_deleted(self, store: Any) -> None:
        store.create(owned("a", expires_at=START))
        store.create(record("b", expires_at=START))
        store.create(record("c"))
        assert sorted(ids(store.prune_batch(START, 10))) == ["id-a", "id-b"]
        assert list(store.prune_batch(START, 10)) == []
        assert store.load("id-c", START) is not None

    def test_a_row_of_the_reserved_owner_is_no_session(self, store: Any) -> None:
        store.create(owned("a", RESERVED_OWNER, created_at=START - SECOND, seen_at=START - SECOND))
        assert list(store.latest(START, 10)) == []
        assert [each for batch in store.end_older(START, FAR, FAR) for each in batch] == []
        assert store.counts(START) == SessionCounts(live=0, expired=0, owned=0, owners=0)
        assert store.load("id-a", START) is not None
        store.create(owned("b", RESERVED_OWNER, expires_at=START))
        assert store.counts(START) == SessionCounts(live=0, expired=1, owned=0, owners=0)
        assert store.count_expired(START) in (None, 1)

    def test_counts_counts_rows_and_owners(self, store: Any) -> None:
        store.create(owned("a"))
        store.create(owned("b", expires_at=START))
        store.create(owned("c", "user:43"))
        store.create(record("d"))
        assert store.counts(START) == SessionCounts(live=3, expired=1, owned=3, owners=2)

    def test_one_caller_at_a_time_has_an_owners_lock(self, store: Any) -> None:
        """Each adds a session only if there are fewer than two, and none sees half of it."""

        def add(number: int) -> bool:
            def work() -> bool:
                if len(store.sessions_of("user:42", START)) >= 2:
                    return False
                store.create(owned(str(number)))
                return True

            added: bool = store.with_owner_locked("user:42", work)
            return added

        for _ in range(5):
            assert sorted(in_parallel(8, add)) == [False] * 6 + [True] * 2
            assert len(store.end_owner("user:42", START)) == 2

    def test_what_is_done_under_an_owners_lock_is_undone_by_an_error(self, store: Any) -> None:
        store.create(owned("a"))

        def work() -> None:
            store.create(owned("b"))
            store.save(owned("a", payload="{}"), 1, START)
            store.end_owner("user:42", START, "id-b")
            raise ZeroDivisionError

        error = raised(lambda: store.with_owner_locked("user:42", work))
        assert isinstance(error, ZeroDivisionError)
        assert store.load("id-a", START) == owned("a")
        assert store.load("id-b", START) is None
        assert store.with_owner_locked("user:42", lambda: 7) == 7

    def test_an_owners_lock_is_not_in_the_way_of_other_owners(self, store: Any) -> None:
        """Where writers wait for each other, they at least do not wait for ever."""

        def add(number: int) -> None:
            owner = f"user:{number}"
            store.with_owner_locked(owner, lambda: store.create(owned(str(number), owner)))

        in_parallel(8, add)
        assert [len(store.sessions_of(f"user:{n}", START)) for n in range(8)] == [1] * 8
