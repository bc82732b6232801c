"""examples/own_store.py keeps the contract of stores and of owners, with other processes beside."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_app
from webtest import TestApp

from examples.own_store import LMDBStore, row_key, store_from_settings
from sessionsite.cli import main as command
from sessionsite.sessions import ConfigurationError, Record
from sessionsite.testing import START, OwnerContract, record
from tests import ROOT
from tests.harness import free_port
from tests.harness.beside import StoreBeside
from tests.harness.forking import in_child
from tests.harness.production import Browser
from tests.harness.pserve import start_pserve

CONFIG = ROOT / "examples" / "own_store.ini"
SECRET = "a-secret-for-tests-that-is-long-enough"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LMDBStore]:
    store = LMDBStore(tmp_path / "sessions", sync=False)
    yield store
    store.close()


class TestLMDBStore(OwnerContract):
    @pytest.fixture
    def store(self, store: LMDBStore) -> LMDBStore:
        return store

    def break_store(self, store: Any) -> None:
        store.close()
        shutil.rmtree(store.folder)
        store.folder.write_text("no folder")

    def spoil_row(self, store: Any, id: str) -> None:
        with store._transaction(write=True) as transaction:
            transaction.put(row_key(id), b'{"id": 1}', db=store._rows)

    def second_store(self, store: Any) -> Any:
        return beside(store)


def beside(store: LMDBStore) -> StoreBeside:
    settings = {"session.store.folder": str(store.folder)}
    return StoreBeside("examples.own_store.store_from_settings", settings)


def test_a_process_that_is_killed_inside_an_update_holds_up_nobody(store: LMDBStore) -> None:
    store.create(record())
    other = beside(store)
    inside = threading.Event()

    def change(newest: Record) -> Record:
        inside.set()
        other.process.wait()
        return newest

    def update() -> None:
        with pytest.raises((EOFError, OSError)):
            other.update("id-a", START, change)

    waiting = threading.Thread(target=update)
    waiting.start()
    assert inside.wait(30)
    os.kill(other.process.pid, signal.SIGKILL)
    waiting.join()
    assert store.save(record(payload="{}"), 1, START) is True
    other.process.communicate()


def test_a_child_of_a_process_that_has_used_it_has_the_same_rows(store: LMDBStore) -> None:
    store.create(record())
    assert in_child(lambda: store.save(record(payload="[1]"), 1, START)) is True
    assert store.save(record(payload="[2]"), 2, START) is True
    assert in_child(lambda: store.load("id-a", START).payload) == "[2]"  # type: ignore[union-attr]


def test_what_a_damaged_row_has_left_in_the_indexes_harms_no_other(store: LMDBStore) -> None:
    soon = record(owner="user:42", expires_at=START)
    store.create(soon)
    TestLMDBStore().spoil_row(store, "id-a")
    assert store.delete("id-a") is True
    store.create(record(owner="user:43"))  # the same id, under another owner and a later end
    assert store.end_owner("user:42", START) == []
    assert store.prune(START, 10) == 0
    assert store.load("id-a", START) == record(owner="user:43")


@pytest.mark.all
@pytest.mark.servers
def test_two_processes_share_the_visitors_session(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(ROOT), "SESSION_SECRET": SECRET}
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                start_pserve(CONFIG, env=env, args=[f"http_port={port}"], directory=tmp_path)
            )
            for port in (free_port(), free_port())
        )
        browser = Browser(first.url)
        assert browser.get("/").status == 200
        browser.turn_to(second.url)
        visits = [f"/about?{number}" for number in range(10)]
        assert {answer.status for answer in map(browser.get, visits)} == {200}
        browser.turn_to(first.url)
        history = [f"{first.url}/", *(f"{second.url}{path}" for path in visits[::-1])]
        assert browser.get("/").history == [*history, f"{first.url}/"]


def test_a_folder_is_required() -> None:
    with pytest.raises(ConfigurationError, match=r"session\.store\.folder: is required"):
        store_from_settings({})


def test_the_site_and_the_command_run_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SESSION_SECRET", SECRET)
    monkeypatch.setenv("SESSIONS_FOLDER", str(tmp_path / "of-the-site"))
    config = str(CONFIG)
    visitor = TestApp(get_app(config), extra_environ={"HTTP_HOST": "localhost:6543"})
    visitor.get("/")
    assert "Your session is kept in a file on the site&#39;s server." in visitor.get("/about").text
    assert visitor.get("/contact").text.count('<li><a href="http') == 3
    assert visitor.get("/healthz").json == {"status": "ok"}
    visitor.app.registry.getUtility(ISessionFactory).store.close()  # another process's turn
    assert command(["list", config]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert command(["end", config, "--all", "--yes"]) == 0
    assert command(["list", config]) == 0
    assert command(["prune", config]) == 0
