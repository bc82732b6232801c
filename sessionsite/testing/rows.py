"""The contract of a store's rows: what `create`, `load`, `save` and `delete` promise."""

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, timedelta
from typing import Any

from ..sessions import Record, RecordExistsError, StoreError
from .records import START, raised, record

# Each field another value than `record()` has, so that a lost one shows.
FULL = record(
    token_hash=bytes(range(32)),
    old_token_hash=bytes(range(224, 256)),
    old_token_valid=True,
    rotated_at=START - timedelta(microseconds=999_999),
    token_confirmed=True,
    created_at=START - timedelta(days=400, microseconds=1),
    seen_at=START + timedelta(microseconds=123_456),
    expires_at=START + timedelta(days=36500, microseconds=1),
    owner="user:42",
    label="Firefox, \u202e\U0001f600 <b>",
    timeout=0,
    lifetime=2**31 - 1,
    persistent=False,
)
PAYLOADS = (
    "{}",
    '{"b": 1, "a":  [1.0, 1e3, -0.0], "b": 2}',
    r'{"nul": "\u0000", "half": "\ud800", "pair": "\ud83d\ude00", "e": "\u00e9\u0301"}',
    f'{{"n": {10**40}}}',
    r'{"": " \\ \" \n \t /", "null": null, "yes": true, "quote": "\u0027; --"}',
    '{"spaces": "   "}   ',
)
LONG = "AZaz09-_AZaz09-_AZaz0"  # an id of a session lacks one character
ALIKE = (
    *("Aa", "aA", "aa", "100", "1e2", "0100", "-a", "a-", "_a", "a_", "ab", "a"),
    *(f"{LONG}A", f"{LONG}B", f"A{LONG}", f"B{LONG}"),
)
NO_IDS = (
    *("\0", "id-a\0", "\ud800", "\udcff", "é", "id-a\n", "'", '"; --', "%", "x" * 100_000),
    *(".", "..", "/", "./id-a", "../id-a", "x/../id-a", "id-a/", "id-a/.", "id-a*", "id-?"),
)


class RowContract:
    """`create`, `load`, `save`, `delete`."""

    def test_load_finds_what_was_created(self, store: Any) -> None:
        created = record(expires_at=START + timedelta(microseconds=1))
        store.create(created)
        assert store.load(created.id, START) == created

    def test_every_field_comes_back_as_it_was(self, store: Any) -> None:
        store.create(FULL)
        loaded = store.load(FULL.id, START)
        assert loaded == FULL
        for field in fields(Record):
            value, expected = getattr(loaded, field.name), getattr(FULL, field.name)
            assert type(value) is type(expected), field.name  # 1 == True, and no memoryview

    def test_what_is_none_or_false_comes_back_so(self, store: Any) -> None:
        store.create(record(expires_at=None))
        loaded = store.load("id-a", START)
        assert (loaded.expires_at, loaded.old_token_hash, loaded.rotated_at) == (None, None, None)
        assert (loaded.old_token_valid, loaded.token_confirmed) == (False, False)
        assert type(loaded.old_token_valid) is type(loaded.token_confirmed) is bool
        assert (loaded.owner, loaded.label, loaded.persistent) == (None, None, None)
        assert (loaded.timeout, loaded.lifetime) == (None, None)

    def test_owner_and_label_may_be_long(self, store: Any) -> None:
        long = record(owner="\U0001f600" * 200, label="\u202e" * 200)
        store.create(long)
        assert store.load("id-a", START) == long
        changed = replace(long, owner="'" * 200, label="\\" * 200, version=2)
        assert store.update("id-a", START, lambda newest: changed) == changed
        assert store.load("id-a", START) == changed

    def test_times_come_back_in_utc(self, store: Any) -> None:
        store.create(FULL)
        loaded = store.load("id-a", START)
        times = (loaded.created_at, loaded.seen_at, loaded.expires_at, loaded.rotated_at)
        assert {time.tzinfo for time in times} == {UTC}

    def test_a_payload_comes_back_to_the_letter(self, store: Any) -> None:
        for number, payload in enumerate(PAYLOADS):
            id_ = f"id-{number}"
            store.create(record(str(number), payload=payload))
            assert store.load(id_, START).payload == payload
            store.save(record(str(number), payload=payload + " "), 1, START)
            assert store.load(id_, START).payload == payload + " "
            store.update(id_, START, lambda newest, p=payload: replace(newest, payload=p))
            assert store.load(id_, START).payload == payload

    def test_a_large_payload_comes_back_whole(self, store: Any) -> None:
        large = [f'{{"x": "{letter * 2**21}"}}' for letter in "abc"]
        store.create(record(payload=large[0]))
        assert store.load("id-a", START).payload == large[0]
        store.save(record(payload=large[1]), 1, START)
        assert store.load("id-a", START).payload == large[1]
        store.update("id-a", START, lambda newest: replace(newest, payload=large[2]))
        assert store.load("id-a", START).payload == large[2]

    def test_an_unknown_id_finds_nothing(self, store: Any) -> None:
        store.create(record())
        for unknown in ("id-b", "ID-A", "id-", "id-a ", " id-a", "", "id-%", "id_a", "id-aa"):
            assert store.load(unknown, START) is None
            assert store.save(replace(record(), id=unknown), 1, START) is False
            assert store.update(unknown, START, lambda newest: None) is None
            assert store.delete(unknown) is False
        assert store.load("id-a", START) == record()

    def test_ids_that_look_alike_are_different(self, store: Any) -> None:
        for number, id_ in enumerate(ALIKE):
            store.create(record(id=id_, payload=f'{{"n": {number}}}'))
        for number, id_ in enumerate(ALIKE):
            assert store.load(id_, START) == record(id=id_, payload=f'{{"n": {number}}}')

    def test_an_id_that_no_session_has_is_absent_or_a_store_error(self, store: Any) -> None:
        # The command line takes ids from anyone. The driver's own errors must not pass.
        store.create(record())
        for id_ in NO_IDS:
            with suppress(StoreError):
                assert store.load(id_, START) is None
            with suppress(StoreError):
                assert store.save(record(id=id_), 1, START) is False
            with suppress(StoreError):
                assert store.update(id_, START, lambda newest: None) is None
            with suppress(StoreError):
                assert store.delete(id_) is False
        assert store.load("id-a", START) == record()

    def test_a_token_hash_finds_nothing(self, store: Any) -> None:
        store.create(record(token_hash=b"hash", old_token_hash=b"old"))
        assert store.load("hash", START) is None
        assert store.load("old", START) is None

    def test_load_changes_nothing(self, store: Any) -> None:
        store.create(FULL)
        for _ in range(3):
            assert store.load("id-a", START + timedelta(minutes=30)) == FULL

    def test_a_loaded_record_stays_as_it_was(self, store: Any) -> None:
        store.create(record())
        loaded = store.load("id-a", START)
        store.save(record(payload='{"n": 2}', token_confirmed=True), 1, START)
        assert loaded == record()
        store.update("id-a", START, lambda newest: replace(newest, payload='{"n": 3}'))
        assert loaded == record()

    def test_the_first_version_is_1(self, store: Any) -> None:
        store.create(record(version=7))
        assert store.load("id-a", START).version == 1

    def test_create_never_overwrites(self, store: Any) -> None:
        store.create(record())
        again = raised(lambda: store.create(record(token_hash=b"other", payload="{}")))
        assert isinstance(again, RecordExistsError)
        assert store.load("id-a", START) == record()

    def test_create_overwrites_no_expired_row_either(self, store: Any) -> None:
        # Another process's clock may be behind: there the session is alive.
        store.create(record(expires_at=START))
        again = raised(lambda: store.create(record(seen_at=START, payload="{}")))
        assert isinstance(again, RecordExistsError)

    def test_save_writes_payload_and_times_and_counts(self, store: Any) -> None:
        store.create(record())
        seen, end = START + timedelta(seconds=1), START + timedelta(hours=2)
        changed = record(payload='{"n": 2}', seen_at=seen, expires_at=end, token_confirmed=True)
        assert store.save(changed, 1, START) is True
        assert store.load("id-a", START) == replace(changed, version=2)

    def test_each_save_counts_one_up(self, store: Any) -> None:
        store.create(record())
        for version in range(1, 12):
            assert store.save(record(), version, START) is True  # unchanged is a write as well
            assert store.load("id-a", START).version == version + 1

    def test_save_can_take_the_end_away_and_set_it_again(self, store: Any) -> None:
        store.create(record(token_confirmed=True))
        assert store.save(record(expires_at=None), 1, START)
        assert store.load("id-a", START) == record(expires_at=None, version=2)
        assert store.save(record(), 2, START)
        assert store.load("id-a", START) == record(version=3)

    def test_save_leaves_all_else_alone(self, store: Any) -> None:
        store.create(record())
        other = replace(FULL, payload='{"n": 2}', version=9)
        assert store.save(other, 1, START)
        assert store.load("id-a", START) == record().saved_as(other)
        assert store.save(record(old_token_hash=b"old", created_at=START), 2, START)
        assert store.load("id-a", START) == record(version=3)

    def test_save_with_another_version_writes_nothing(self, store: Any) -> None:
        store.create(record())
        for version in (2, 0, -1):
            assert store.save(record(payload='{"n": 2}', version=version), version, START) is False
        assert store.load("id-a", START) == record()

    def test_save_does_not_recreate_a_deleted_record(self, store: Any) -> None:
        store.create(record())
        for version in (1, 2):  # as it was created, and once it was saved
            assert store.save(record(version=version), version, START) is True
        assert store.delete("id-a") is True
        for version in (1, 2, 3):
            assert store.save(record(version=version), version, START) is False
        assert store.load("id-a", START) is None

    def test_one_row_at_a_time_is_written(self, store: Any) -> None:
        for name in ("a", "b", "c"):
            store.create(record(name))
        assert store.save(record("a", payload="{}"), 1, START)
        store.update("id-b", START, lambda newest: replace(newest, payload="[]"))
        assert store.load("id-a", START) == record("a", payload="{}", version=2)
        assert store.load("id-b", START) == record("b", payload="[]", version=2)
        assert store.load("id-c", START) == record("c")

    def test_delete_says_whether_there_was_a_row(self, store: Any) -> None:
        store.create(record())
        assert store.delete("id-a") is True
        assert store.load("id-a", START) is None
        assert store.delete("id-a") is False

    def test_delete_removes_an_expired_row_as_well(self, store: Any) -> None:
        store.create(record(expires_at=START))
        assert store.delete("id-a") is True
        assert store.prune(START, 10) == 0

    def test_delete_leaves_the_others(self, store: Any) -> None:
        for name in ("a", "ab", "A", "b"):
            store.create(record(name))
        assert store.delete("id-a") is True
        for name in ("ab", "A", "b"):
            assert store.load(f"id-{name}", START) == record(name)

    def test_an_id_that_was_deleted_can_be_created_again(self, store: Any) -> None:
        store.create(FULL)
        store.delete("id-a")
        store.create(record())
        assert store.load("id-a", START) == record()
