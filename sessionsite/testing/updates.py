"""The contract of `update`: the newest record, changed under the row's lock."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..sessions import Record
from .records import START, in_parallel, raised, record
from .rows import FULL


class UpdateContract:
    """`update`."""

    def test_update_gets_the_newest_record_and_returns_the_stored_one(self, store: Any) -> None:
        store.create(record())
        store.save(record(payload='{"n": 2}'), 1, START)
        given = []

        def change(newest: Record) -> Record:
            given.append(newest)
            return replace(newest, payload='{"n": 3}', version=99)

        stored = store.update("id-a", START, change)
        assert given[-1] == record(payload='{"n": 2}', version=2)
        assert stored == record(payload='{"n": 3}', version=3)
        assert store.load("id-a", START) == stored

    def test_update_writes_every_field(self, store: Any) -> None:
        store.create(record(created_at=FULL.created_at))
        full = replace(FULL, payload='{"n": 2}')
        assert store.update("id-a", START, lambda newest: full) == replace(full, version=2)
        assert store.load("id-a", START) == replace(full, version=2)

    def test_update_can_take_values_away(self, store: Any) -> None:
        store.create(FULL)
        bare = record(created_at=FULL.created_at, expires_at=None, payload="{}")
        assert store.update("id-a", START, lambda newest: bare) == replace(bare, version=2)
        assert store.load("id-a", START) == replace(bare, version=2)

    def test_each_rotation_replaces_the_old_hash(self, store: Any) -> None:
        store.create(record(token_hash=b"1"))
        for new in (b"2", b"3", b"4"):

            def rotate(newest: Record, token_hash: bytes = new) -> Record:
                return replace(newest, token_hash=token_hash, old_token_hash=newest.token_hash)

            store.update("id-a", START, rotate)
        stored = store.load("id-a", START)
        assert (stored.token_hash, stored.old_token_hash) == (b"4", b"3")

    def test_id_and_created_at_stay(self, store: Any) -> None:
        store.create(record())

        def change(newest: Record) -> Record:
            return replace(newest, id="id-b", created_at=START, payload='{"n": 2}')

        expected = record(payload='{"n": 2}', version=2)
        assert store.update("id-a", START, change) == expected
        assert store.load("id-a", START) == expected
        assert store.load("id-b", START) is None

    def test_update_that_returns_the_record_itself_writes_nothing(self, store: Any) -> None:
        store.create(record())
        assert store.update("id-a", START, lambda newest: newest) == record()
        assert store.load("id-a", START) == record()

    def test_update_to_an_equal_record_is_a_write(self, store: Any) -> None:
        store.create(record())
        assert store.update("id-a", START, replace) == record(version=2)
        assert store.load("id-a", START) == record(version=2)

    def test_update_to_none_deletes(self, store: Any) -> None:
        store.create(record())
        assert store.update("id-a", START, lambda newest: None) is None
        assert store.load("id-a", START) is None
        assert store.delete("id-a") is False

    def test_update_of_an_absent_record_calls_nothing(self, store: Any) -> None:
        given: list[Record] = []
        store.create(record("expired", expires_at=START))
        for id_ in ("id-a", "id-expired"):
            assert store.update(id_, START, given.append) is None
        assert given == []
        assert store.load("id-a", START) is None

    def test_an_error_inside_update_leaves_the_record_as_it_was(self, store: Any) -> None:
        class Interruption(BaseException):
            pass

        store.create(record())
        unicode_error = UnicodeEncodeError("ascii", "é", 0, 1, "the app's")
        of_the_app = (ZeroDivisionError(), KeyError("x"), OSError(5, "x"), TimeoutError())
        for error in (*of_the_app, unicode_error, Interruption()):

            def change(newest: Record, error: BaseException = error) -> Record:
                raise error

            assert raised(lambda change=change: store.update("id-a", START, change)) is error  # type: ignore[misc]
            assert store.load("id-a", START) == record()
        # the row is locked for no other thread either
        assert in_parallel(1, lambda _: store.save(record(), 1, START)) == [True]

    def test_an_update_can_be_saved_over_by_its_version(self, store: Any) -> None:
        store.create(record())
        stored = store.update("id-a", START, lambda newest: replace(newest, payload="{}"))
        assert store.save(record(payload='{"n": 2}'), 1, START) is False
        assert store.save(record(payload='{"n": 3}'), stored.version, START) is True
        assert store.load("id-a", START) == record(payload='{"n": 3}', version=3)

    def test_update_can_move_the_end(self, store: Any) -> None:
        store.create(record())
        for end in (START + timedelta(days=2), START + timedelta(seconds=1), None):
            store.update("id-a", START, lambda newest, e=end: replace(newest, expires_at=e))
            assert store.load("id-a", START).expires_at == end
