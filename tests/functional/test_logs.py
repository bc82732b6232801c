"""production.ini's log: lines of JSON, the audit log, and what switches each of them."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sessionsite.sessions import Record
from sessionsite.testing import record
from tests.harness.commands import SCRIPT
from tests.harness.nginx import start_nginx
from tests.harness.production import Browser, create_table, production_ini, start_worker
from tests.harness.pserve import Pserve
from tests.harness.stores import sql_store

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("each_server")]


@pytest.fixture
def url(postgres_url: str) -> str:
    create_table(postgres_url)
    return postgres_url


def config(directory: Path, *changes: tuple[str, str]) -> Path:
    """production.ini with one line per change in its logging sections."""
    path = production_ini(directory)
    text = path.read_text("utf-8")
    for section, line in changes:
        head, found, rest = text.partition(f"\n[{section}]\n")
        assert found, section
        key = line.partition(" =")[0]
        rest, count = re.subn(rf"(?m)^{key} =.*$", line, rest, count=1)
        assert count == 1, line
        text = head + found + rest
    path.write_text(text, "utf-8")
    return path


def lines(worker: Pserve) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]


JSON = ("handler_console", "formatter = json")
AUDIT = ("logger_audit", "handlers = console")


def test_one_line_of_the_ini_file_makes_the_log_json_with_the_proxys_ids(
    url: str, tmp_path: Path
) -> None:
    directory = tmp_path / "nginx"
    directory.mkdir()
    with (
        start_worker(tmp_path, config(tmp_path, JSON, AUDIT), DATABASE_URL=url) as worker,
        start_nginx(directory, [worker.port]) as nginx,
    ):
        browser = Browser(nginx.url, nginx.certificate)
        assert browser.get("/?secret").status == 200
        said = lines(worker)
        (created,) = [line for line in said if line["message"].endswith(": created")]
        assert created["levelname"] == "INFO"
        assert created["name"] == "sessionsite.sessions.events"
        assert created["session_id"] in created["message"]
        access = nginx.logged("GET /?secret ")
        assert access.endswith(f" {created['request_id']}")
        assert "secret" not in worker.output()


def test_a_site_with_many_bots_switches_the_lines_of_sessions_off(url: str, tmp_path: Path) -> None:
    quiet = config(tmp_path, ("logger_session_events", "level = WARN"))
    with start_worker(tmp_path, quiet, DATABASE_URL=url) as worker:
        assert Browser(worker.url).get("/").status == 200
        assert "Session " not in worker.output()
    with start_worker(tmp_path, DATABASE_URL=url) as worker:
        assert Browser(worker.url).get("/").status == 200
        assert ": created\n" in worker.output()


def row(name: str) -> Record:
    return record(name, owner="user:42", expires_at=None)


def end(config: Path, url: str) -> "subprocess.CompletedProcess[str]":
    """What `sessionsite end` does to a session."""
    return subprocess.run(
        [SCRIPT, "end", config, "id-a"],
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("kept", [True, False])
def test_the_command_writes_to_the_audit_log_that_the_ini_file_has(
    url: str, tmp_path: Path, kept: bool
) -> None:
    store = sql_store(url)
    store.create(row("a"))
    store.close()
    path = config(tmp_path, AUDIT) if kept else config(tmp_path)
    done = end(path, url)
    assert (done.returncode, done.stdout) == (0, "1 session ended\n")
    if kept:
        (line,) = done.stderr.splitlines()
        assert line.endswith("Session id-a of 'user:42' ended: revoked, by sessionsite end")
    else:
        assert done.stderr == ""


def test_an_audit_log_that_can_not_be_kept_ends_nothing(url: str, tmp_path: Path) -> None:
    store = sql_store(url)
    store.create(row("a"))
    path = config(tmp_path, AUDIT, ("handler_console", "class = NoSuchHandler"))
    done = end(path, url)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "an audit log that can't be kept" in line
    assert store.load("id-a", row("a").created_at) is not None
    store.close()
