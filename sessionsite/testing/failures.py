"""The contract of what goes wrong: a store that fails, a row that is no record, `close`."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import SkipTest

from ..sessions import MalformedRecordError, StoreError
from .records import START, in_parallel, raised, record


class FailureContract:
    """`StoreError`, `MalformedRecordError`, `close`."""

    def break_store(self, store: Any) -> None:
        """Make the next calls fail as the driver does: drop the table, stop the server.

        As it stands it drops the `table` of a store that has an SQLAlchemy `engine`, as ours has.
        """
        if not hasattr(store, "engine"):
            raise SkipTest("write break_store(store), and what a store raises is tested")
        store.table.drop(store.engine)

    def spoil_row(self, store: Any, id: str) -> None:
        """Damage the row with this id, as a hand could, so that it makes no record any more.

        As it stands it does so in the `table` of a store that has an SQLAlchemy `engine`.
        """
        if not hasattr(store, "engine"):
            raise SkipTest("write spoil_row(store, id), and what becomes of such a row is tested")
        from sqlalchemy import text  # a store of another kind needs no SQLAlchemy

        never = text("'infinity'")  # which PostgreSQL takes for a time, and SQLite for a text
        table = store.table
        with store.engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == id).values(seen_at=never))

    def test_the_next_call_after_close_opens_the_store_anew(self, store: Any) -> None:
        store.create(record())
        store.close()
        assert store.load("id-a", START) == record()
        store.close()
        store.close()
        assert store.save(record(payload='{"n": 2}'), 1, START) is True
        store.close()
        stored = store.update("id-a", START, lambda newest: replace(newest, payload="{}"))
        store.close()
        assert in_parallel(2, lambda n: store.load("id-a", START)) == [stored, stored]
        store.close()
        with store.sweeping() as turn:
            assert turn is True
        store.close()
        assert store.prune(START, 10) == 0
        store.close()
        assert store.delete("id-a") is True

    def test_every_failure_is_a_store_error(self, store: Any) -> None:
        def sweep() -> None:
            with store.sweeping():
                pass

        store.create(record())
        self.break_store(store)
        for call in (
            lambda: store.load("id-a", START),
            lambda: store.create(record("b")),
            lambda: store.save(record(), 1, START),
            lambda: store.update("id-a", START, lambda newest: None),
            lambda: store.delete("id-a"),
            lambda: store.prune(START, 10),
        ):
            error = raised(call)
            assert isinstance(error, StoreError), error
            assert error.__cause__ is not None  # the driver's error
        # These may not need what is broken: `try_write`, the one table that is dropped.
        for optional in (lambda: store.count_expired(START), sweep):
            assert isinstance(raised(optional), StoreError | None)
        one_table = type(self).break_store is FailureContract.break_store
        written = raised(lambda: store.try_write(START))
        assert isinstance(written, StoreError | None if one_table else StoreError), written
        store.close()

    def test_a_row_that_makes_no_record_is_not_in_the_pruners_way(self, store: Any) -> None:
        for name in "abc":
            store.create(record(name, expires_at=START))
        self.spoil_row(store, "id-b")
        assert store.prune(START, 10) in (2, 3)  # it may go, too
        assert store.prune(START, 10) == 0
        assert store.load("id-a", START - timedelta(hours=1)) is None
        assert store.count_expired(START) in (None, 0, 1)

    def test_a_row_that_makes_no_record_says_so(self, store: Any) -> None:
        store.create(record())
        store.create(record("b"))
        self.spoil_row(store, "id-a")
        assert isinstance(raised(lambda: store.load("id-a", START)), MalformedRecordError)
        update = raised(lambda: store.update("id-a", START, lambda newest: None))
        assert isinstance(update, MalformedRecordError)
        assert store.load("id-b", START) == record("b")
        assert store.delete("id-a") is True
        assert store.load("id-a", START) is None
