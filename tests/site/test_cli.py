"""The `sessionsite` command, on SQLite and PostgreSQL."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import sessionsite
from sessionsite.cli import main, table
from sessionsite.sessions import prune_all
from sessionsite.sessions.checks import MIN_SECRET_LENGTH
from sessionsite.testing import record
from tests import ROOT
from tests.harness import free_port
from tests.harness.commands import PRODUCTION, SCRIPT, Run, one_line
from tests.harness.stores import sql_store

PAST = datetime.now(UTC) - timedelta(seconds=1)
FUTURE = PAST + timedelta(hours=1)


def fill(url: str, expired: int, alive: int = 1) -> None:
    """Create the table, with so many sessions."""
    store = sql_store(url)
    for number in range(expired):
        store.create(record(f"expired-{number}", expires_at=PAST))
    for number in range(alive):
        store.create(record(f"alive-{number}", expires_at=FUTURE))
    store.engine.dispose()


def select(url: str, statement: str) -> Any:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text(statement))
    finally:
        engine.dispose()


# init-db


def test_init_db_creates_the_table_and_is_safe_to_repeat(run: Run, url: str) -> None:
    assert run("init-db", PRODUCTION) == (0, "Table sessions: created\n", "")
    assert select(url, "SELECT count(*) FROM sessions") == 0
    assert run("init-db", PRODUCTION) == (0, "Table sessions: is there already\n", "")


def test_init_db_leaves_the_rows_of_a_table_alone(run: Run, url: str) -> None:
    fill(url, expired=1, alive=1)
    assert run("init-db", PRODUCTION)[0] == 0
    assert select(url, "SELECT count(*) FROM sessions") == 2


def test_init_db_names_the_table_that_the_file_names(run: Run, url: str, tmp_path: Path) -> None:
    config = tmp_path / "other.ini"
    text = Path(PRODUCTION).read_text("utf-8")
    config.write_text(
        text.replace("session.timeout", "session.sql.table = visits\nsession.timeout")
    )
    assert run("init-db", str(config)) == (0, "Table visits: created\n", "")
    assert select(url, "SELECT count(*) FROM visits") == 0


def test_init_db_refuses_another_table_of_that_name(run: Run, url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE sessions (id TEXT, sess TEXT)"))
    engine.dispose()
    status, stdout, stderr = run("init-db", PRODUCTION)
    assert (status, stdout) == (1, "")
    assert "sessions exists, but lacks the columns created_at, expires_at, label" in one_line(
        stderr
    )


@pytest.mark.slow
def test_of_parallel_init_dbs_all_succeed_and_one_creates_the_table(url: str) -> None:
    command = [SCRIPT, "init-db", PRODUCTION]
    env = {"DATABASE_URL": url}
    processes = [
        subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert sorted(outputs) == ["Table sessions: created\n"] + 3 * [
        "Table sessions: is there already\n"
    ]


# prune


@pytest.mark.parametrize("size", ["1", "2", "5", "1000"])
def test_prune_removes_what_has_expired_whatever_the_batch(run: Run, url: str, size: str) -> None:
    fill(url, expired=5, alive=2)
    assert run("prune", PRODUCTION, "--batch-size", size) == (0, "5 expired sessions removed\n", "")
    assert select(url, "SELECT count(*) FROM sessions") == 2
    assert run("prune", PRODUCTION) == (0, "0 expired sessions removed\n", "")


def test_prune_without_a_table_says_what_to_do(run: Run, url: str) -> None:
    status, stdout, stderr = run("prune", PRODUCTION)
    assert (status, stdout) == (1, "")
    assert "there is no table sessions: run `sessionsite init-db`" in one_line(stderr)


@pytest.mark.parametrize("expired", [5, 0])
def test_prune_shows_its_progress_on_a_terminal(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch, expired: int
) -> None:
    fill(url, expired=expired)
    terminal, side = pty.openpty()
    with os.fdopen(side, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        status, stdout, _ = run("prune", "--batch-size", "2", PRODUCTION)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux's way to say that the other side is closed
        pass
    os.close(terminal)
    assert (status, stdout) == (0, f"{expired} expired sessions removed\n")
    plain = re.sub(r"\x1b\[\?25[lh]", "", shown.decode())  # hides the cursor, and shows it again
    steps = [step.strip() for step in plain.split("\r") if step.strip()]
    counts = [step.rpartition(" ")[2] for step in steps]
    assert counts == (["0/5", "2/5", "4/5", "5/5"] if expired else [])
    if expired:
        assert steps[0] == f"[{'-' * 36}]  0/5"
        assert steps[-1] == f"[{'#' * 36}]  5/5"


def test_prune_is_interrupted_between_two_batches(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url, expired=5)

    def interrupted(*args: Any) -> Iterator[int]:
        for number, size in enumerate(prune_all(*args)):
            yield size
            if number == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(table, "prune_all", interrupted)
    status, stdout, stderr = run("prune", PRODUCTION, "--batch-size", "2")
    assert (status, stdout, one_line(stderr)) == (130, "", "sessionsite: interrupted")
    assert select(url, "SELECT count(*) FROM sessions") == 2  # what has been deleted stays deleted


def test_ctrl_c_ends_a_prune_that_waits_for_the_database(postgres_url: str) -> None:
    fill(postgres_url, expired=5)
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        connection.execute(sa.text("LOCK TABLE sessions"))
        process = subprocess.Popen(
            [SCRIPT, "prune", PRODUCTION],
            env={"DATABASE_URL": postgres_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while process.poll() is None and not connection.scalar(waiting):
            pass
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    engine.dispose()
    assert (process.returncode, stdout, one_line(stderr)) == (130, "", "sessionsite: interrupted")
    assert select(postgres_url, "SELECT count(*) FROM sessions") == 6


# generate-secret


def test_generate_secret_prints_another_secret_each_time(run: Run) -> None:
    secrets = set()
    for _ in range(3):
        status, stdout, stderr = run("generate-secret")
        assert (status, stderr) == (0, "")
        secrets.add(stdout.rstrip("\n"))
    assert len(secrets) == 3
    for secret in secrets:
        assert len(secret) >= 2 * MIN_SECRET_LENGTH
        # nothing that a shell, a URL, an .ini file or systemd would take for something else
        assert set(secret) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
        )


# Failure is 1 and one line, wrong usage is 2


@pytest.mark.parametrize("command", ["init-db", "prune"])
def test_a_file_that_keeps_its_sessions_elsewhere_is_refused(run: Run, command: str) -> None:
    config = str(ROOT / "development.ini")
    status, stdout, stderr = run(command, config)
    assert (status, stdout) == (1, "")
    assert f"{config} keeps its sessions in no store" in one_line(stderr)


NOT_TO_BE_READ = {
    "absent.ini": None,
    "empty.ini": "",
    "no-section.ini": "session.secret = x\n",
    "no-app.ini": "[server:main]\nuse = egg:waitress\n",
    "percent.ini": "[app:main]\nuse = egg:sessionsite\nsession.sqlalchemy.url = a%hunter2\n",
    "twice.ini": "[app:main]\nuse = egg:sessionsite\nuse = egg:sessionsite\n",
    "no-package.ini": "[app:main]\nuse = egg:no-such-package\n",
    "latin-1.ini": "[app:main]\nuse = egg:sessionsite\nsessionsite.contact = \xe9\n",
    "production.yaml": "app: main\n",
}


@pytest.mark.parametrize("name", NOT_TO_BE_READ)
def test_a_file_that_can_not_be_read_is_one_line(run: Run, tmp_path: Path, name: str) -> None:
    config = tmp_path / name
    content = NOT_TO_BE_READ[name]
    if content is not None:
        config.write_text(content, "latin-1")
    status, stdout, stderr = run("init-db", str(config))
    assert (status, stdout) == (1, "")
    one_line(stderr)
    assert "hunter2" not in stderr


@pytest.mark.parametrize("command", ["init-db", "prune"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://site:hunter2@127.0.0.1:{free_port}/site", "Connection refused"),
        ("postgresql://site:hunter2@127.0.0.1:port/site", "session.sqlalchemy.url"),
        ("mysql://site:hunter2@127.0.0.1/site", "session.sqlalchemy.url"),
        ("sqlite:////no/such/folder/site.db", "unable to open database file"),
    ],
)
def test_a_database_that_can_not_be_used_is_one_line_without_the_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, url: str, reason: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url.format(free_port=free_port()))
    status, stdout, stderr = run(command, PRODUCTION)
    assert (status, stdout) == (1, "")
    assert reason in one_line(stderr)
    assert "hunter2" not in stderr


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("no-such-command",),
        ("init-db",),
        ("init-db", PRODUCTION, PRODUCTION),
        ("prune", PRODUCTION, "--batch-size"),
        ("prune", PRODUCTION, "--batch-size", "0"),
        ("prune", PRODUCTION, "--batch-size", "many"),
        ("generate-secret", PRODUCTION),
        ("new",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(run: Run, argv: tuple[str, ...]) -> None:
    status, stdout, stderr = run(*argv)
    assert (status, stdout) == (2, "")
    assert stderr.startswith(("Usage: sessionsite", "Error: "))


@pytest.mark.slow
def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SCRIPT, "generate-secret"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "No space left" in one_line(done.stderr)


def test_what_the_disk_had_no_room_for_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.14 would complain of it as it ends, and make the status 120."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["generate-secret"]) == 1
        assert full.closed


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(run: Run, option: str) -> None:
    status, stdout, stderr = run(option)
    assert (status, stderr) == (0, "")
    for command in ("new", "init-db", "prune", "generate-secret"):
        assert command in stdout
    assert "..." not in stdout.replace("COMMAND [ARGS]...", "")  # click cuts off what is long


def test_version_is_the_installed_packages(run: Run) -> None:
    assert run("--version") == (0, f"sessionsite {version('sessionsite')}\n", "")
    assert sessionsite.__version__ == version("sessionsite")


@pytest.mark.slow
def test_the_command_is_installed_and_its_exit_status_is_the_processs() -> None:
    def status(*argv: str) -> int:
        return subprocess.run([SCRIPT, *argv], capture_output=True, check=False).returncode

    assert status("generate-secret") == 0
    assert status("init-db", "absent.ini") == 1
    assert status("init-db") == 2
