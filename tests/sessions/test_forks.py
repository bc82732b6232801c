"""Forks: a child has connections of its own, and its parent notices nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory

from sessionsite.sessions import forks
from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.prepared import PostgreSQLStatement
from sessionsite.sessions.store import Record, StoreError
from sessionsite.testing import START, record
from tests import ROOT
from tests.harness.forking import fork_in_c, in_child, open_files
from tests.harness.observing import until
from tests.harness.stores import sql_keys, sql_store
from tests.sessions.apps import SERVER

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest) -> Iterator[SQLAlchemyStore]:
    store = sql_store(request.getfixturevalue(f"{request.param}_url"))
    store.create(record())
    yield store
    store.close()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(postgres_url)
    store.create(record())
    yield store
    store.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[SQLAlchemyStore]:
    store = sql_store(sqlite_url)
    store.create(record())
    yield store
    store.close()


def append(store: Any) -> int:
    """Read and write the row; return the version that it has then."""
    stored = store.update("id-a", START, lambda newest: newest.saved("{}", START, None, True))
    version: int = store.load("id-a", START).version
    assert version >= stored.version
    return version


def backend(store: SQLAlchemyStore) -> int:
    """The server's process at the other end of the connection that the store uses."""
    with store._connection("id-x") as connection:
        pid: int = connection.pgconn.backend_pid
        (asked,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert asked == pid
        return pid


def sockets(store: SQLAlchemyStore) -> list[int]:
    """The sockets of the connections that the store has."""
    pool: Any = store.engine.pool
    return [each.dbapi_connection.pgconn.socket for each in pool._made]


@contextmanager
def held(lock: Any) -> Iterator[None]:
    """Have another thread hold `lock`."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_parent_and_child_both_go_on(store: SQLAlchemyStore) -> None:
    assert append(store) == 2
    assert in_child(lambda: append(store)) == 3
    assert append(store) == 4


def test_so_do_a_childs_children(store: SQLAlchemyStore) -> None:
    append(store)

    def child() -> list[int]:
        return [append(store), in_child(lambda: append(store)), append(store)]

    assert in_child(child) == [3, 4, 5]
    assert append(store) == 6


def test_a_child_that_was_forked_in_a_thread_of_a_busy_process_goes_on(
    store: SQLAlchemyStore,
) -> None:
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            append(store)

    with ThreadPoolExecutor(4) as threads:
        busy = [threads.submit(use) for _ in range(3)]
        try:
            for _ in range(10):
                assert threads.submit(in_child, lambda: append(store) > 1).result(60)
        finally:
            stop.set()
        for each in busy:
            each.result(60)


def test_a_child_opens_connections_of_its_own(postgres_store: SQLAlchemyStore) -> None:
    ours = backend(postgres_store)
    numbers = sockets(postgres_store)

    def child() -> Any:
        return [[os.fstat(number).st_rdev for number in numbers], backend(postgres_store)]

    devices, theirs = in_child(child)
    assert devices == [os.stat(os.devnull).st_rdev]
    assert theirs != ours
    assert backend(postgres_store) == ours  # which the child has not ended


def test_a_connection_that_was_closed_leaves_its_number_to_others(
    postgres_store: SQLAlchemyStore,
) -> None:
    (number,) = sockets(postgres_store)
    with postgres_store._connection("id-x") as closed:
        postgres_store.engine.dispose()
    assert closed.closed
    closed.after_fork_in_child()
    with open(ROOT / "setup.py") as file:
        if file.fileno() != number:
            os.dup2(file.fileno(), number)
        assert in_child(lambda: os.fstat(number).st_ino) == os.stat(ROOT / "setup.py").st_ino
        if file.fileno() != number:
            os.close(number)


def test_a_connection_that_is_lent_is_dropped_too(postgres_store: SQLAlchemyStore) -> None:
    sleep = PostgreSQLStatement("sleep", sa.text("SELECT pg_sleep(0.5)"))

    def use() -> int:
        with postgres_store._connection("id-x") as connection:
            started.set()
            return sleep.run(connection, {})[1]

    started = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(use)
        started.wait(60)
        time.sleep(0.1)  # the statement is under way
        assert in_child(lambda: append(postgres_store)) == 2
        assert answer.result(60) == 1


SCRIPT = """
import os, sys, threading
from sessionsite.testing import START, record
from tests.harness.stores import sql_keys, sql_store
from tests.sessions.apps import SERVER

store = sql_store(sys.argv[1])
store.create(record())
if os.fork() == 0:
    if sys.argv[2] == "uses it":
        assert store.load("id-a", START)
    sys.exit(0)  # with all that an interpreter does at its end
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
(made,) = store.engine.pool._made
for _ in range(3):
    assert store.load("id-a", START)
assert {made} == store.engine.pool._made
"""


@pytest.mark.parametrize("child", ["uses it", "does not"])
def test_a_child_that_ends_says_nothing_to_the_parents_server(
    postgres_url: str, child: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", SCRIPT, postgres_url, child],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lock_that_another_thread_holds_is_free_in_the_child(
    postgres_store: SQLAlchemyStore,
) -> None:
    pool: Any = postgres_store.engine.pool
    for lock in (pool._lock, postgres_store._access.reads._lock, pool._overflow_lock):
        with held(lock):
            assert in_child(lambda: append(postgres_store) > 1)
    memory = MemoryStore()
    memory.create(record())
    with held(memory._lock):
        assert in_child(lambda: append(memory)) == 2


def test_a_fork_while_the_first_connection_is_made_blocks_no_child(postgres_url: str) -> None:
    """SQLAlchemy prepares a first connection under a lock of its own."""
    threads_before = psutil.Process().num_threads()
    store = sql_store(postgres_url)

    def prepare(*_: object) -> None:
        begun.set()
        time.sleep(0.3)

    begun = threading.Event()
    sa.event.listen(store.engine, "connect", prepare)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(store.create, record())
        begun.wait(60)
        # The thread that has connected is gone for Python before OpenSSL has let go of its locks.
        assert until(lambda: psutil.Process().num_threads() <= threads_before + 1)
        assert in_child(lambda: store.load("nobody", START)) is None
        first.result(60)
    assert append(store) == 2
    store.close()


def test_a_store_that_was_away_may_be_back_for_the_child(postgres_store: SQLAlchemyStore) -> None:
    breaker = postgres_store._access.reads
    breaker.trip("away")
    assert breaker.admit()  # a probe of another thread, which the child does not have
    assert in_child(lambda: append(postgres_store)) == 2
    breaker.release()


def later(store: SQLAlchemyStore) -> str:
    try:
        store.load("id-a", START)
    except StoreError as exc:
        return "it would corrupt the file" if "corrupts SQLite databases" in str(exc) else str(exc)
    return "it works"


def test_a_fork_inside_a_transaction_leaves_it_to_the_parent(store: SQLAlchemyStore) -> None:
    reading, writing = os.pipe()
    pids = []

    def change(newest: Record) -> Record:
        pids.append(os.fork())
        return newest.saved('{"by": "parent"}' if pids[0] else "{}", START, None, True)

    began = time.monotonic()
    try:
        stored = store.update("id-a", START, change)
    except StoreError as exc:
        os.write(writing, f"{exc}; {later(store)}".encode())
    finally:
        if pids == [0]:
            os._exit(0)
    assert time.monotonic() - began < 4  # it has not waited for its own connection
    os.close(writing)
    with open(reading) as answer:
        told, _, then = answer.read().partition("; ")
    os.waitpid(pids[0], 0)
    assert told == "the transaction is that of the process that forked this one"
    assert then == ("it works" if "PostgreSQL" in store.where else "it would corrupt the file")
    assert stored is not None
    assert stored.payload == '{"by": "parent"}'
    assert store.load("id-a", START) == stored


def test_a_connection_that_the_parent_has_lent_is_given_back_to_nobody(
    postgres_store: SQLAlchemyStore,
) -> None:
    """Not even where another thread of the parent's has its hands on the pool."""
    pool: Any = postgres_store.engine.pool

    pids = []

    def change(newest: Record) -> Record:
        with held(pool._lock):
            pids.append(os.fork())
        if pids == [0]:
            signal.alarm(60)
        return newest

    try:
        postgres_store.update("id-a", START, change)
    except StoreError:
        os._exit(0)
    finally:
        if pids == [0]:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0


def test_a_child_inherits_no_file_of_sqlite(sqlite_store: SQLAlchemyStore, sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    assert open_files(path)
    assert in_child(lambda: open_files(path)) == []
    append(sqlite_store)


def test_a_fork_waits_for_sqlites_transactions(sqlite_store: SQLAlchemyStore) -> None:
    def change(newest: Record) -> Record:
        inside.set()
        time.sleep(0.5)
        return newest.saved("{}", START, None, True)

    inside = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(sqlite_store.update, "id-a", START, change)
        inside.wait(60)
        assert in_child(lambda: append(sqlite_store)) == 3
        assert slow.result(60) is not None


def test_a_fork_does_not_wait_for_ever_and_the_child_keeps_its_hands_off(
    sqlite_url: str,
) -> None:
    store = sql_store(sqlite_url, timeout=1)
    store.create(record())
    with held(store._connection("id-x")), pytest.raises(AssertionError, match="corrupts SQLite"):
        in_child(lambda: append(store))
    assert append(store) == 2
    store.close()


def test_a_fork_that_python_is_not_told_of_is_noticed(postgres_store: SQLAlchemyStore) -> None:
    def parent() -> None:
        ours = backend(postgres_store)
        assert in_child(lambda: backend(postgres_store), fork_in_c) != ours
        assert backend(postgres_store) == ours

    in_child(parent)


def test_after_such_a_fork_a_child_does_not_touch_sqlites_file(
    sqlite_store: SQLAlchemyStore,
) -> None:
    def parent() -> None:
        assert append(sqlite_store) == 2
        with pytest.raises(AssertionError, match="corrupts SQLite"):
            in_child(lambda: append(sqlite_store), fork_in_c)
        sqlite_store.close()
        assert in_child(lambda: append(sqlite_store), fork_in_c) == 3

    in_child(parent)


def test_of_threads_that_notice_a_fork_one_sees_to_it() -> None:
    class Slow(forks.Forked):
        told = 0

        def after_fork_in_child(self) -> None:
            time.sleep(0.1)
            self.told += 1

    def parent() -> int:
        slow = Slow()
        forks.watch(slow)

        def child() -> int:
            with ThreadPoolExecutor(4) as threads:
                for each in [threads.submit(forks.notice) for _ in range(4)]:
                    each.result(60)
            return slow.told

        told: int = in_child(child, fork_in_c)
        return told

    assert in_child(parent) == 1


def test_who_fails_at_a_fork_does_not_keep_it_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(forks.Forked):
        def before_fork(self) -> None:
            raise ValueError("not me")

    class Counting(forks.Forked):
        told = 0

        def before_fork(self) -> None:
            self.told += 1

    failing, counting = Failing(), Counting()
    forks.watch(failing)
    forks.watch(counting)
    assert in_child(lambda: 1) == 1
    assert counting.told == 1
    assert "not me" in caplog.text


@pytest.mark.parametrize("name", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def test_an_app_that_was_made_holds_no_connection(
    request: pytest.FixtureRequest, name: str
) -> None:
    """The check at start is over: a server may fork now, uWSGI without Python's knowledge."""
    url = request.getfixturevalue(f"{name}_url")
    sql_store(url).close()
    settings = {
        "sessionsite.session_factory": SERVER,
        "session.secret": "a-secret-for-tests-that-is-long-enough",
        **sql_keys(url, create_table=False),
    }
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        app = config.make_wsgi_app()
    store = app.registry.queryUtility(ISessionFactory).store
    assert not store._pool.open
