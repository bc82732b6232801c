"""The contract of an `OwnerStore`: lists and ends by owner, and the lock per owner."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..sessions import RESERVED_OWNER, OwnerStore, SessionCounts, SessionSummary
from .contract import StoreContract
from .owner_locks import OwnerLockContract, ids, owned
from .records import START, record
from .rows import FULL

SECOND = timedelta(seconds=1)
MANY = 150  # more than a driver's page, often a hundred
FAR = START + timedelta(days=1)
OWNERS = ("user:42", "User:42", "user:4", "user:42 ", "%", "'", "é\U0001f600", "x" * 255)


class OwnerContract(StoreContract, OwnerLockContract):
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
        store.create(owned("bb"))  # another one than id-b
        assert sorted(ids(store.end_owner("user:42", START, "id-b"))) == ["id-a", "id-bb", "id-c"]
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

    def test_lists_have_the_rows_as_they_are(self, store: Any) -> None:
        def expected(*names: str) -> list[SessionSummary]:
            return [SessionSummary.of(store.load(f"id-{name}", START)) for name in names]

        for number, name in enumerate("abcde"):
            seen, end = START - number * SECOND, FAR - number * SECOND
            store.create(owned(name, seen_at=seen, expires_at=end, created_at=START - 60 * SECOND))
        assert list(store.sessions_of("user:42", START)) == expected(*"abcde")
        later = owned("e", seen_at=START + SECOND, expires_at=FAR + SECOND)
        assert store.save(later, 1, START)
        store.update("id-d", START, lambda row: replace(row, label="here", expires_at=None))
        assert list(store.sessions_of("user:42", START)) == expected(*"eabcd")
        assert list(store.latest(START, 9)) == expected(*"deabc")
        store.delete("id-a")
        store.update("id-b", START, lambda row: None)
        store.save(owned("c", expires_at=START + SECOND), 1, START)
        store.prune(START + SECOND, 9)
        left = expected("e", "d")
        assert list(store.sessions_of("user:42", START)) == left
        assert store.counts(START).owned == 2
        ended = [each for batch in store.end_older(START, START, START) for each in batch]
        assert ended == left[1:]
        assert list(store.end_owner("user:42", START)) == left[:1]

    def test_no_list_ends_at_a_page(self, store: Any) -> None:
        for number in range(MANY):
            store.create(owned(f"{number:03}"))
        expected = [f"id-{number:03}" for number in range(MANY)]
        assert sorted(ids(store.sessions_of("user:42", START))) == expected
        assert sorted(ids(store.latest(START, MANY))) == expected
        assert store.counts(START).live == MANY
        assert sorted(ids(store.end_owner("user:42", START))) == expected

    def test_end_older_does_not_end_at_a_batch(self, store: Any) -> None:
        for number in range(MANY):
            store.create(owned(f"{number:03}"))
        ended = [each for batch in store.end_older(START, START, START) for each in batch]
        assert sorted(ids(ended)) == [f"id-{number:03}" for number in range(MANY)]
        assert list(store.latest(START, MANY)) == []

    def test_prune_batch_leaves_the_living_and_what_is_past_the_limit(self, store: Any) -> None:
        for number in range(5):
            store.create(owned(str(number), expires_at=START))
        store.create(owned("alive"))
        assert [len(store.prune_batch(START, 2)) for _ in range(4)] == [2, 2, 1, 0]
        assert ids(store.sessions_of("user:42", START)) == ["id-alive"]

    def test_a_row_that_makes_no_record_is_in_no_lists_way(self, store: Any) -> None:
        for name in "abc":
            store.create(owned(name))
        self.spoil_row(store, "id-b")
        for found in (store.sessions_of("user:42", START), store.latest(START, 9)):
            assert {"id-a", "id-c"} <= {*ids(found)}
        assert store.counts(START).live in (2, 3)
        ended = [each for batch in store.end_older(START, FAR, START) for each in batch]
        assert {"id-a", "id-c"} <= {*ids(ended)}
        for name in "de":
            store.create(owned(name))
        assert {"id-d", "id-e"} <= {*ids(store.end_owner("user:42", START))}

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
