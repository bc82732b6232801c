"""`sessionsite stats`, `list`, `show` and `end`, on SQLite and PostgreSQL."""

import json
import os
import pty
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionsite.sessions import MemoryStore, Record, utc_now
from sessionsite.testing import record
from tests.harness.commands import PRODUCTION, Run, one_line
from tests.harness.stores import sql_store

NOW = utc_now()
HOUR = timedelta(hours=1)
EVIL = "\x1b[31m\nred\x07\u202e"


def row(name: str, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "created_at": NOW - HOUR,
        "seen_at": NOW - HOUR / 2,
        "expires_at": NOW + HOUR,
        "token_hash": b"a hash that nobody sees",
        "payload": '{"card":"4111 1111","a":1}',
    }
    return record(name, **values | changes)


@pytest.fixture
def rows(url: str) -> Any:
    """A table with sessions: two of one owner, one of another, an expired one, nobody's."""
    store = sql_store(url)
    store.create(row("a", owner="user:42", label="Firefox", seen_at=NOW - HOUR / 4))
    store.create(row("b", owner="user:42", label=EVIL, created_at=NOW - 3 * HOUR))
    store.create(row("c", owner="user:43", expires_at=NOW + 2 * HOUR))
    store.create(row("d", expires_at=NOW - HOUR))
    store.create(row("e", created_at=NOW - 50 * HOUR, seen_at=NOW - 40 * HOUR))
    yield store
    store.engine.dispose()


def left(store: Any) -> list[str]:
    return [name for name in "abcde" if store.load(f"id-{name}", NOW - 2 * HOUR)]


def test_stats_counts(run: Run, rows: Any) -> None:
    status, stdout, _ = run("stats", PRODUCTION)
    assert status == 0
    *counts, pruned = stdout.splitlines()
    assert [line.split()[-1] for line in counts] == ["SESSIONS", "4", "1", "3"]
    assert pruned == "No pruning is known." or pruned.startswith("Last pruning: ")
    status, stdout, _ = run("stats", PRODUCTION, "--json")
    shown = json.loads(stdout)
    assert shown.keys() == {"live", "expired", "owned", "owners", "last_sweep"}
    assert (shown["live"], shown["expired"], shown["owned"], shown["owners"]) == (4, 1, 3, 2)


def test_stats_tells_of_the_last_pruning(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = MemoryStore()
    monkeypatch.setitem(globals(), "memory_store", lambda settings: store)
    ini = tmp_path / "memory.ini"
    ini.write_text(
        "[app:main]\nuse = egg:sessionsite\n"
        "sessionsite.session_factory = sessionsite.sessions.server.session_factory_from_settings\n"
        f"session.store = {__name__}.memory_store\n",
        "utf-8",
    )
    assert run("stats", str(ini))[1].splitlines()[-1] == "No pruning is known."
    assert json.loads(run("stats", str(ini), "--json")[1])["last_sweep"] is None

    store.create(row("d", expires_at=NOW - HOUR))
    assert run("prune", str(ini))[1] == "1 expired sessions removed\n"
    last = store.last_sweep()
    assert last is not None
    assert last.rows == 1
    assert run("stats", str(ini))[1].splitlines()[-1] == (
        f"Last pruning: {last.ended_at:%Y-%m-%d %H:%M:%S} UTC, 1 rows in {last.seconds:.1f} seconds"
    )
    assert json.loads(run("stats", str(ini), "--json")[1])["last_sweep"] == {
        "ended_at": last.ended_at.isoformat(),
        "rows": 1,
        "seconds": last.seconds,
    }


def test_list_shows_what_is_live_and_no_secret(run: Run, rows: Any) -> None:
    status, stdout, stderr = run("list", PRODUCTION)
    assert (status, stderr) == (0, "")
    lines = stdout.splitlines()
    first, second, *others = [line.split()[0] for line in lines]
    assert (first, second, sorted(others)) == ("ID", "id-c", ["id-a", "id-b", "id-e"])
    assert "hash" not in stdout
    assert "4111" not in stdout
    assert r"\x1b[31m\nred\x07\u202e" in stdout
    assert "\x1b" not in stdout


def test_list_says_that_there_may_be_more(run: Run, rows: Any) -> None:
    status, stdout, stderr = run("list", PRODUCTION, "--limit", "2")
    assert (status, len(stdout.splitlines())) == (0, 3)
    assert stderr == "The first 2; --limit N shows more.\n"


def test_list_of_an_owner_and_as_json(run: Run, rows: Any) -> None:
    status, stdout, _ = run("list", PRODUCTION, "--owner", "user:42", "--json")
    found = [json.loads(line) for line in stdout.splitlines()]
    assert status == 0
    assert [each["id"] for each in found] == ["id-a", "id-b"]
    assert found[1]["label"] == EVIL
    assert set(found[0]) == {"id", "owner", "label", "created", "seen", "expires"}
    assert run("list", PRODUCTION, "--owner", "nobody") == (
        0, "ID  OWNER  LABEL  CREATED  LAST STORED  ENDS (UTC)\n", "",
    )  # fmt: skip


def test_show_tells_all_but_data_tokens_and_hashes(run: Run, rows: Any) -> None:
    status, stdout, _ = run("show", PRODUCTION, "id-a", "--json")
    shown = json.loads(stdout)
    assert status == 0
    assert (shown["owner"], shown["keys"], shown["bytes"]) == ("user:42", ["a", "card"], 26)
    status, text, _ = run("show", PRODUCTION, "id-a")
    assert "Firefox" in text
    for part in ("4111", "hash", "token"):
        assert part not in text + stdout


@pytest.mark.parametrize("id_", ["id-d", "none", "\x1b[31m", "id-a'; --"])
def test_show_of_no_session_is_one_line(run: Run, rows: Any, id_: str) -> None:
    status, stdout, stderr = run("show", PRODUCTION, "--", id_)
    assert (status, stdout) == (1, "")
    assert "no session is called" in one_line(stderr)
    assert "\x1b" not in stderr


def test_end_ends_one_without_asking(run: Run, rows: Any) -> None:
    assert run("end", PRODUCTION, "id-a") == (0, "1 session ended\n", "")
    assert left(rows) == ["b", "c", "d", "e"]
    status, stdout, stderr = run("end", PRODUCTION, "id-a")
    assert (status, stdout) == (1, "0 sessions ended\n")
    assert "there is no session id-a" in one_line(stderr)


@pytest.mark.parametrize(
    ("options", "count", "others"),
    [
        (["id-a", "id-b", "--yes"], 2, "cde"),
        (["--owner", "user:42", "--yes"], 2, "cde"),
        (["--owner", "user:43"], 1, "abde"),
        (["--all", "--yes"], 4, "d"),
        (["--created-before", "2h", "--yes"], 2, "acd"),
        (["--unused-for", "36h", "--yes"], 1, "abcd"),
        (["--created-before", "2h", "--unused-for", "36h", "--yes"], 1, "abcd"),
        (["--owner", "nobody"], 0, "abcde"),
    ],
)
def test_end_ends_what_was_named_and_no_other(
    run: Run, rows: Any, options: list[str], count: int, others: str
) -> None:
    ended = f"{count} session{'' if count == 1 else 's'} ended\n"
    assert run("end", PRODUCTION, *options) == (0, ended, "")
    assert "".join(left(rows)) == others


@pytest.mark.parametrize(
    "options",
    [
        [], ["--all", "--owner", "x"], ["id-a", "--all"], ["--all", "--unused-for", "1h"],
        ["--unused-for", "1"], ["--unused-for", "h"], ["--created-before", "-1h"],
        ["--created-before", "999999999w"], ["--unused-for", "1.5h"], ["--unknown"],
    ],
)  # fmt: skip
def test_wrong_usage_ends_nothing(run: Run, rows: Any, options: list[str]) -> None:
    status, stdout, _ = run("end", PRODUCTION, *options)
    assert (status, stdout) == (2, "")
    assert left(rows) == list("abcde")


@pytest.mark.parametrize(
    "options", [["id-a", "id-b"], ["--owner", "user:42"], ["--all"], ["--unused-for", "1m"]]
)
def test_without_a_terminal_more_than_one_needs_yes(
    run: Run, rows: Any, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        status, stdout, stderr = run("end", PRODUCTION, *options)
    assert (status, stdout) == (2, "")
    assert "--yes" in stderr
    assert left(rows) == list("abcde")


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 130), ("", 130)])
def test_on_a_terminal_it_asks(
    run: Run, rows: Any, answer: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, side = pty.openpty()
    with os.fdopen(side, "r") as stdin:
        os.write(asker, f"{answer}\n".encode())
        monkeypatch.setattr(sys, "stdin", stdin)
        got, _, stderr = run("end", PRODUCTION, "--owner", "user:42")
    os.close(asker)
    assert "End the 2 sessions of user:42?" in stderr
    assert got == status
    assert left(rows) == (list("cde") if answer == "y" else list("abcde"))


def test_on_a_terminal_it_shows_how_many_have_ended(
    run: Run, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionsite.sessions.sql.store._BATCH", 2)
    terminal, side = pty.openpty()
    with os.fdopen(side, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        status, stdout, _ = run("end", PRODUCTION, "--all", "--yes")
    shown = b""
    with suppress(OSError):  # at its end; one read may give less than all
        while more := os.read(terminal, 4096):
            shown += more
    os.close(terminal)
    assert (status, stdout) == (0, "4 sessions ended\n")
    assert [part.strip() for part in shown.decode().split("\r") if part.strip()][-1] == "4 ended"


def test_many_are_ended_in_batches(run: Run, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionsite.sessions.sql.store._BATCH", 2)
    assert run("end", PRODUCTION, "--all", "--yes")[:2] == (0, "4 sessions ended\n")


@pytest.mark.parametrize("command", ["stats", "list", "show", "end"])
def test_no_database_is_one_line(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone:hunter2@127.0.0.1:1/x")
    options = {"show": ["id"], "end": ["id"]}.get(command, [])
    status, stdout, stderr = run(command, PRODUCTION, *options)
    assert (status, stdout) == (1, "")
    assert "hunter2" not in one_line(stderr)


def test_a_store_that_is_a_key_and_a_value_shows_and_ends_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SESSION_SECRET", raising=False)
    config = tmp_path / "own.ini"
    config.write_text(
        "[app:main]\nuse = egg:sessionsite\n"
        "sessionsite.session_factory = "
        "sessionsite.sessions.server.session_factory_from_settings\n"
        "session.store = tests.sessions.own_store.key_and_value\n"
    )
    for options in (["stats"], ["list"], ["end", "--all", "--yes"]):
        command, *more = options
        status, _, stderr = run(command, str(config), *more)
        assert status == 1
        assert "is no OwnerStore" in one_line(stderr)
    for command in ("upgrade-db", "init-db"):
        status, _, stderr = run(command, str(config))
        assert (status, "in no table of ours" in one_line(stderr)) == (1, True)
    assert run("show", str(config), "x")[0] == 1
    assert run("end", str(config), "x")[0] == 1
