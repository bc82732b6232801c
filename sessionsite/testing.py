"""For tests, of this project and of others: a store in memory, the contract that every store
keeps, and the session of a WebTest app.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from .sessions import MemoryStore, Record, RecordExistsError

__all__ = ["START", "MemoryStore", "StoreContract", "in_parallel", "record", "session"]


@contextmanager
def session(testapp: Any) -> Iterator[Any]:
    """The session of the visitor whose cookies a WebTest `testapp` holds, of any factory.

    What is changed inside the `with` block is there at the app's next request, and the other
    way round. The app must be the Pyramid app itself, with nothing around it.
    """
    environ = {"HTTP_HOST": "localhost", "wsgi.url_scheme": "https"}
    cookies = "; ".join(f"{name}={value}" for name, value in testapp.cookies.items())
    request = Request.blank("/", environ=environ, headers={"Cookie": cookies} if cookies else {})
    request.registry = testapp.app.registry
    yield request.session
    response = Response()
    request._process_response_callbacks(response)
    for cookie in response.headers.getall("Set-Cookie"):
        name, _, value = cookie.partition(";")[0].partition("=")
        if value:
            testapp.set_cookie(name, value)
        else:
            testapp.cookies.pop(name, None)


START = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""The contract's "now": half an hour before the clocks of Europe go back."""


def record(name: str = "a", **changes: Any) -> Record:
    """Return a record that is alive at `START`, with an id and a token hash made from `name`."""
    values: dict[str, Any] = {
        "id": f"id-{name}",
        "token_hash": f"hash-{name}".encode(),
        "payload": '{"n": 1}',
        "version": 1,
        "created_at": START - timedelta(hours=1),
        "seen_at": START - timedelta(minutes=1),
        "expires_at": START + timedelta(hours=1),
    }
    return Record(**values | changes)


class StoreContract:
    """What every `SessionStore` promises; subclass it, with a pytest fixture named `store`.

    The fixture gives an empty store. Concurrency is tested with threads; a store that several
    processes share keeps the same promises among those.
    """

    def test_load_finds_what_was_created(self, store: Any) -> None:
        created = record(expires_at=START + timedelta(microseconds=1), payload='{"x": "\\u0000"}')
        store.create(created)
        assert store.load(created.id, START) == created

    def test_a_record_comes_back_whole(self, store: Any) -> None:
        created = record(
            old_token_hash=b"old",
            old_token_valid=True,
            rotated_at=START,
            expires_at=None,
            token_confirmed=True,
        )
        store.create(created)
        assert store.load(created.id, START) == created

    def test_times_come_back_in_utc(self, store: Any) -> None:
        store.create(record())
        loaded = store.load("id-a", START)
        assert {loaded.created_at.tzinfo, loaded.seen_at.tzinfo, loaded.expires_at.tzinfo} == {UTC}

    def test_an_unknown_id_finds_nothing(self, store: Any) -> None:
        store.create(record())
        for unknown in ("id-b", "ID-A", "id-", "id-a ", "", "id-%"):
            assert store.load(unknown, START) is None

    def test_a_token_hash_finds_nothing(self, store: Any) -> None:
        store.create(record(token_hash=b"hash", old_token_hash=b"old"))
        assert store.load("hash", START) is None
        assert store.load("old", START) is None

    def test_the_first_version_is_1(self, store: Any) -> None:
        store.create(record(version=7))
        assert store.load("id-a", START).version == 1

    def test_create_never_overwrites(self, store: Any) -> None:
        store.create(record())
        assert not _created(store, record(token_hash=b"other", payload="{}"))
        assert store.load("id-a", START) == record()

    def test_an_expired_record_is_absent_to_the_microsecond(self, store: Any) -> None:
        store.create(record())
        end = record().expires_at
        assert end is not None
        assert store.load("id-a", end - timedelta(microseconds=1)) is not None
        assert store.load("id-a", end) is None
        assert store.save(record(payload="{}"), 1, end) is False
        assert store.update("id-a", end, lambda newest: replace(newest, payload="{}")) is None

    def test_a_record_without_an_end_is_never_absent(self, store: Any) -> None:
        store.create(record(expires_at=None))
        assert store.load("id-a", START + timedelta(days=36500)) is not None

    def test_save_writes_payload_and_times_and_counts(self, store: Any) -> None:
        store.create(record())
        seen, end = START + timedelta(seconds=1), START + timedelta(hours=2)
        changed = record(payload='{"n": 2}', seen_at=seen, expires_at=end, token_confirmed=True)
        assert store.save(changed, 1, START) is True
        assert store.load("id-a", START) == replace(changed, version=2)

    def test_save_leaves_the_token_hashes_alone(self, store: Any) -> None:
        store.create(record())
        assert store.save(
            record(token_hash=b"another", old_token_hash=b"old", old_token_valid=True), 1, START
        )
        assert store.load("id-a", START) == record(version=2)

    def test_save_with_another_version_writes_nothing(self, store: Any) -> None:
        store.create(record())
        assert store.save(record(payload='{"n": 2}'), 2, START) is False
        assert store.load("id-a", START) == record()

    def test_save_does_not_recreate_a_deleted_record(self, store: Any) -> None:
        store.create(record())
        store.delete("id-a")
        assert store.save(record(), 1, START) is False
        assert store.load("id-a", START) is None

    def test_update_gets_the_newest_record_and_returns_the_stored_one(self, store: Any) -> None:
        store.create(record())
        store.save(record(payload='{"n": 2}'), 1, START)
        given = []

        def change(newest: Record) -> Record:
            given.append(newest)
            return replace(
                newest,
                payload='{"n": 3}',
                token_hash=b"new",
                old_token_hash=newest.token_hash,
                version=99,
            )

        stored = store.update("id-a", START, change)
        assert given == [record(payload='{"n": 2}', version=2)]
        assert stored == record(
            payload='{"n": 3}', version=3, token_hash=b"new", old_token_hash=b"hash-a"
        )
        assert store.load("id-a", START) == stored

    def test_update_that_returns_the_record_itself_writes_nothing(self, store: Any) -> None:
        store.create(record())
        assert store.update("id-a", START, lambda newest: newest) == record()
        assert store.load("id-a", START) == record()

    def test_update_to_none_deletes(self, store: Any) -> None:
        store.create(record())
        assert store.update("id-a", START, lambda newest: None) is None
        assert store.load("id-a", START) is None

    def test_update_of_an_absent_record_changes_nothing(self, store: Any) -> None:
        assert store.update("id-a", START, lambda newest: newest) is None
        assert store.load("id-a", START) is None

    def test_an_error_inside_update_leaves_the_record_as_it_was(self, store: Any) -> None:
        store.create(record())

        def change(newest: Record) -> Record:
            raise ZeroDivisionError

        _raises(ZeroDivisionError, lambda: store.update("id-a", START, change))
        assert store.load("id-a", START) == record()
        assert store.save(record(), 1, START) is True  # and holds no lock

    def test_delete_of_an_absent_record_is_fine(self, store: Any) -> None:
        store.delete("id-a")

    def test_delete_leaves_the_others(self, store: Any) -> None:
        store.create(record("a"))
        store.create(record("b"))
        store.delete("id-a")
        assert store.load("id-b", START) is not None

    def test_prune_removes_expired_records_alone(self, store: Any) -> None:
        store.create(record("dead", expires_at=START))
        store.create(record("alive", expires_at=START + timedelta(microseconds=1)))
        store.create(record("endless", expires_at=None))
        assert store.prune(START, 10) == 1
        assert store.prune(START, 10) == 0
        assert store.load("id-alive", START)
        assert store.load("id-endless", START)
        assert store.load("id-dead", START - timedelta(hours=1)) is None

    def test_prune_removes_at_most_the_limit(self, store: Any) -> None:
        for number in range(5):
            store.create(record(str(number), expires_at=START))
        assert [store.prune(START, 2) for _ in range(4)] == [2, 2, 1, 0]

    def test_of_parallel_creates_of_one_id_one_succeeds(self, store: Any) -> None:
        outcomes = in_parallel(8, lambda n: _created(store, record(token_hash=str(n).encode())))
        assert sorted(outcomes) == [False] * 7 + [True]

    def test_of_parallel_saves_of_one_version_one_succeeds(self, store: Any) -> None:
        store.create(record())
        saves = in_parallel(8, lambda n: store.save(record(payload=f'{{"n": {n}}}'), 1, START))
        assert sorted(saves) == [False] * 7 + [True]
        winner = saves.index(True)
        assert store.load("id-a", START) == record(payload=f'{{"n": {winner}}}', version=2)

    def test_parallel_updates_wait_for_each_other(self, store: Any) -> None:
        store.create(record(payload="0"))

        def increment(newest: Record) -> Record:
            return replace(newest, payload=str(int(newest.payload) + 1))

        in_parallel(8, lambda n: [store.update("id-a", START, increment) for _ in range(10)])
        stored = store.load("id-a", START)
        assert (stored.payload, stored.version) == ("80", 81)

    def test_a_delete_beats_parallel_saves_and_updates(self, store: Any) -> None:
        for round_ in range(20):
            store.create(record())

            def work(n: int) -> Any:
                if n == 0:
                    return store.delete("id-a")
                if n % 2:
                    return store.save(record(payload='{"n": 2}'), 1, START)
                return store.update("id-a", START, lambda r: replace(r, payload='{"n": 3}'))

            in_parallel(4, work)
            assert store.load("id-a", START) is None, f"revived in round {round_}"


def in_parallel(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Call `work(0)`, `work(1)`, … at once, a thread each; return the results in that order."""
    barrier = Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def _raises(error: type[Exception], call: Callable[[], Any]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")


def _created(store: Any, record: Record) -> bool:
    try:
        store.create(record)
    except RecordExistsError:
        return False
    return True
