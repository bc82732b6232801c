"""Versions of the table: `upgrade-db`, and what a process says of a table of another version."""

import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command as commands
from alembic.operations import Operations
from alembic.util import CommandError

from sessionsite.cli import main
from sessionsite.sessions import StoreError
from sessionsite.sessions.sql import SQLAlchemyStore, upgrade, upgrade_table
from sessionsite.sessions.sql.upgrade import NEWEST, VERSIONS
from sessionsite.testing import START, record
from tests import ROOT
from tests.harness.commands import PRODUCTION, SCRIPT
from tests.harness.old_table import columns_of, make_old_table
from tests.harness.postgres import Postgres
from tests.harness.production import Browser, production_ini, start_worker
from tests.harness.stores import sql_store

on_postgresql = pytest.mark.servers


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def store_of(url: str) -> SQLAlchemyStore:
    return sql_store(url, create_table=False)


@pytest.fixture
def old(url: str) -> Any:
    """A store on the table of the version before."""
    make_old_table(url)
    store = store_of(url)
    yield store
    store.close()


def structure(store: SQLAlchemyStore) -> Any:
    inspector = sa.inspect(store.engine)
    return (
        [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns("sessions")],
        [
            (each["name"], each["column_names"], [str(v) for v in each["dialect_options"].values()])
            for each in sorted(
                inspector.get_indexes("sessions"), key=lambda each: str(each["name"])
            )
        ],
    )


def run(store: SQLAlchemyStore, statement: str) -> Any:
    with store.engine.connect() as connection:  # in AUTOCOMMIT mode
        result = connection.exec_driver_sql(statement)
        return result.fetchall() if result.returns_rows else None


def test_a_table_that_was_just_made_is_of_the_newest_version(url: str) -> None:
    store = sql_store(url)
    assert store.remark() is None
    assert run(store, "SELECT version_num FROM sessions_version") == [(NEWEST,)]
    assert upgrade_table(store.engine, store.table) == (NEWEST, NEWEST)
    store.close()


def test_each_version_has_a_step() -> None:
    folder = Path(upgrade.__file__).parent / "migrations" / "versions"
    assert [path.name[1:5] for path in sorted(folder.glob("v*.py"))] == list(VERSIONS)


def test_an_upgraded_table_is_as_one_that_was_just_made(old: Any, url: str) -> None:
    assert "owner" not in columns_of(old.engine)
    assert upgrade_table(old.engine, old.table) == ("0001", NEWEST)
    upgraded = structure(old)
    run(old, "DROP TABLE sessions")
    run(old, "DROP TABLE sessions_version")
    fresh = sql_store(url)
    assert structure(fresh) == upgraded
    assert old.remark() is None
    fresh.close()


def test_the_sessions_live_on(old: Any) -> None:
    columns = ", ".join(columns_of(old.engine))
    values = "'id-a', ?, '{}', 1, ?, ?, NULL, NULL, false, NULL, false"
    with old.engine.connect() as connection:
        statement = sa.text(
            f"INSERT INTO sessions ({columns}) VALUES "
            f"({values.replace('?', ':hash', 1).replace('?', ':now')})"
        ).bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True)))
        connection.execute(statement, {"hash": b"hash-a", "now": START})
    upgrade_table(old.engine, old.table)
    kept = old.load("id-a", START)
    assert (kept.payload, kept.owner, kept.lifetime) == ("{}", None, None)
    assert old.save(kept, 1, START) is True
    old.create(record("b", owner="user:42"))
    assert [each.id for each in old.sessions_of("user:42", START)] == ["id-b"]


@pytest.fixture
def interrupted(old: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The store on a table whose upgrade was interrupted before the index."""

    def no_power(*args: Any, **options: Any) -> None:
        raise sa.exc.InvalidRequestError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_index", no_power)
        with pytest.raises(StoreError, match="the power is gone"):
            upgrade_table(old.engine, old.table)
    assert "owner" in columns_of(old.engine)
    assert "version 0001" in old.remark()
    return old


def test_it_goes_on_where_it_was_interrupted_and_is_safe_to_repeat(interrupted: Any) -> None:
    store = interrupted
    assert upgrade_table(store.engine, store.table) == ("0001", NEWEST)
    assert upgrade_table(store.engine, store.table) == (NEWEST, NEWEST)
    assert "sessions_owner" in str(structure(store))
    store.create(record("a", owner="user:42", label="here", persistent=True))
    assert store.load("id-a", START) == record("a", owner="user:42", label="here", persistent=True)


@pytest.mark.parametrize("url", [pytest.param("postgres", marks=on_postgresql)], indirect=True)
def test_an_index_that_was_left_half_built_is_built_anew(interrupted: Any) -> None:
    store = interrupted
    run(store, "CREATE INDEX sessions_owner ON sessions (label)")
    its = "WHERE indexrelid = 'sessions_owner'::regclass"
    run(store, f"UPDATE pg_index SET indisvalid = false {its}")
    upgrade_table(store.engine, store.table)
    found = run(store, f"SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index {its}")
    assert found[0][0] is True
    assert "(owner) WHERE (owner IS NOT NULL)" in found[0][1]


@pytest.mark.slow
def test_several_hosts_may_upgrade_at_once(old: Any, url: str) -> None:
    commands = [
        subprocess.Popen(
            [SCRIPT, "upgrade-db", PRODUCTION],
            env={"DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    for command in commands:
        said, _ = command.communicate(timeout=60)
        assert (command.returncode, said.count("\n")) == (0, 1), said
        assert NEWEST in said
    assert old.remark() is None
    assert run(old, "SELECT count(*) FROM sessions_version") == [(1,)]


def test_it_goes_on_where_another_host_has_just_said_the_version(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has no lock over a whole upgrade: the other comes between the look and the stamp."""
    look = upgrade.Upgrade.said

    def look_too_early(self: upgrade.Upgrade) -> str | None:
        found = look(self)
        run(old, "CREATE TABLE sessions_version (version_num VARCHAR(32) NOT NULL)")
        run(old, "INSERT INTO sessions_version VALUES ('0001')")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(upgrade.Upgrade, "said", look_too_early)
        assert upgrade_table(old.engine, old.table) == ("0001", NEWEST)
    assert old.remark() is None


@on_postgresql
def test_no_reader_waits_for_longer_than_the_lock_timeout(
    postgres: Postgres, postgres_url: str
) -> None:
    """Somebody's long transaction holds the table, and the upgrade waits in turns of a second."""
    make_old_table(postgres_url)
    done: list[Any] = []
    waits: list[float] = []
    with closing(store_of(postgres_url)) as store, closing(store_of(postgres_url)) as other:
        # Not the store's own connection, which may be idle in a transaction for a few seconds only.
        with postgres.connect(postgres_url) as holder, holder.transaction():
            holder.execute("SELECT count(*) FROM sessions")  # a lock until its end
            upgrading = threading.Thread(
                target=lambda: done.append(upgrade_table(other.engine, other.table))
            )
            upgrading.start()
            until = time.monotonic() + 4
            while time.monotonic() < until:
                start = time.monotonic()
                run(store, "SELECT count(*) FROM sessions")
                waits.append(time.monotonic() - start)
            assert done == []
        upgrading.join(30)
    assert done == [("0001", NEWEST)]
    assert max(waits) < 2  # lock_timeout is one


def test_a_table_of_another_version_is_said_so(old: Any) -> None:
    assert old.remark() == (
        f"table sessions is of version 0001, and this program needs {NEWEST}: "
        "run `sessionsite upgrade-db`"
    )
    with pytest.raises(StoreError, match="upgrade-db"):
        old.load("id-a", START)
    upgrade_table(old.engine, old.table)
    run(old, "UPDATE sessions_version SET version_num = '0999'")
    assert "0999, which is newer than this program" in (old.remark() or "")
    with pytest.raises(StoreError, match="install the newer one"):
        upgrade_table(old.engine, old.table)


def test_no_table_is_said_so(url: str) -> None:
    store = store_of(url)
    assert "run `sessionsite init-db`" in (store.remark() or "")
    with pytest.raises(StoreError, match="init-db"):
        upgrade_table(store.engine, store.table)
    store.close()


def test_a_table_that_the_apps_own_migrations_made_says_no_version(url: str) -> None:
    store = sql_store(url)
    run(store, "DROP TABLE sessions_version")
    assert store.remark() is None
    assert upgrade_table(store.engine, store.table) == (NEWEST, NEWEST)
    store.close()


def test_the_command_says_what_it_did(
    old: Any, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    for said in (f"version 0001 -> {NEWEST}", f"is at version {NEWEST} already"):
        assert main(["upgrade-db", PRODUCTION]) == 0
        assert capsys.readouterr().out == f"Table sessions: {said}\n"


def test_init_db_does_not_touch_an_old_table(
    old: Any, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert main(["init-db", PRODUCTION]) == 1
    assert "run `sessionsite upgrade-db`" in capsys.readouterr().err


@on_postgresql
def test_a_rolling_upgrade_under_load_fails_no_request(postgres_url: str, tmp_path: Path) -> None:
    """One old process, the upgrade, a new process beside it, the old one ends: 0 failed."""
    make_old_table(postgres_url)
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    config = production_ini(
        tmp_path / "old",
        "session.store = tests.harness.old_table.old_store",
        f"session.store.url = {postgres_url.replace('%', '%%')}",
    )
    text = config.read_text("utf-8")
    config.write_text("".join(
        line for line in text.splitlines(True) if not line.startswith("session.sqlalchemy")
    ))  # fmt: skip
    with start_worker(tmp_path / "old", config, PYTHONPATH=str(ROOT)) as before:
        urls = [before.url]
        visitors = [Visits(urls) for _ in range(4)]
        for visitor in visitors:
            visitor.start()
        time.sleep(1)
        store = store_of(postgres_url)
        assert upgrade_table(store.engine, store.table) == ("0001", NEWEST)
        time.sleep(1)
        with start_worker(tmp_path / "new", DATABASE_URL=postgres_url) as after:
            urls.append(after.url)
            time.sleep(2)
            del urls[0]
            time.sleep(1)
            for visitor in visitors:
                visitor.stop()
            assert "upgrade-db" not in after.output()
        assert sum(len(visitor.statuses) for visitor in visitors) > 100
        assert {status for visitor in visitors for status in visitor.statuses} == {200}
        assert [visitor.lost for visitor in visitors] == [0] * 4
    store.close()


class Visits(threading.Thread):
    """A visitor who goes from page to page, on whatever processes there are."""

    def __init__(self, urls: list[str]) -> None:
        super().__init__()
        self.urls = urls
        self.statuses: list[int] = []
        self.lost = 0
        self._stopped = threading.Event()

    def run(self) -> None:
        browser = Browser(self.urls[0])
        seen = 0
        while not self._stopped.is_set():
            browser.turn_to(self.urls[len(self.statuses) % len(self.urls)])
            answer = browser.get("/about")
            self.statuses.append(answer.status)
            seen = min(seen + 1, 20)
            self.lost += len(answer.history) < seen

    def stop(self) -> None:
        self._stopped.set()
        self.join(30)


@on_postgresql
def test_a_process_says_at_its_start_that_the_table_is_old(
    postgres_url: str, tmp_path: Path
) -> None:
    make_old_table(postgres_url)
    with start_worker(tmp_path, DATABASE_URL=postgres_url) as worker:
        assert "table sessions is of version 0001" in worker.output()
        browser = Browser(worker.url)
        health = browser.get("/healthz")
        assert health.status == 503
        store = store_of(postgres_url)
        upgrade_table(store.engine, store.table)
        assert browser.get("/healthz").text == '{"status": "ok"}'
        run(store, "UPDATE sessions_version SET version_num = '0999'")
        health = browser.get("/healthz")
        assert (health.status, "newer than this program" in health.text) == (200, True)
        store.close()


@on_postgresql
def test_an_upgrade_waits_for_another_one(postgres_url: str) -> None:
    make_old_table(postgres_url)
    store, other = store_of(postgres_url), store_of(postgres_url)
    done: list[Any] = []
    with other.engine.connect() as connection:
        assert other._database.prepare_upgrade(connection)
        waiting = threading.Thread(
            target=lambda: done.append(upgrade_table(store.engine, store.table))
        )
        waiting.start()
        waiting.join(1)
        assert (done, waiting.is_alive()) == ([], True)
    other.close()
    waiting.join(30)
    assert done == [("0001", NEWEST)]
    store.close()


def test_an_upgrade_that_another_one_has_outpaced_comes_again(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    real = commands.upgrade

    def first_too_late(config: Any, revision: str) -> None:
        tries.append(revision)
        if len(tries) == 1:
            raise CommandError("expected to match one row")
        real(config, revision)

    monkeypatch.setattr(commands, "upgrade", first_too_late)
    assert upgrade_table(old.engine, old.table) == ("0001", NEWEST)
    assert tries == ["head", "head"]


def test_a_lock_that_is_never_given_is_an_error(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "_PATIENCE", 0)
    monkeypatch.setattr(type(old._database), "is_others_turn", lambda self, error: True)

    def busy(self: Any, connection: Any) -> bool:
        connection.exec_driver_sql("no statement")
        return True

    monkeypatch.setattr(type(old._database), "prepare_upgrade", busy)
    with pytest.raises(StoreError, match="can't upgrade table sessions"):
        upgrade_table(old.engine, old.table)
