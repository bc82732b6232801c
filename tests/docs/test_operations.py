"""What docs/operations.md and docs/security.md tell to do can be done: SQL and commands."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from sessionsite.testing import record
from tests.docs.blocks import Block, take
from tests.docs.shell import Shell
from tests.harness.observing import until
from tests.harness.production import SECRET, production_ini
from tests.harness.stores import sql_store

pytestmark = pytest.mark.servers

SQL = [*take("operations.md", language="sql"), *take("security.md", language="sql")]
COMMANDS = [*take("operations.md", language="sh"), *take("security.md", language="sh")]


def sql_of(heading: str) -> list[str]:
    """The blocks of SQL under a heading."""
    return [block.code for block in SQL if block.heading == heading]


def test_the_sql_for_the_tables_care_runs(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record())
    store.engine.dispose()
    blocks = sql_of("Care of the table")
    statements = [part.strip() for part in ";".join(blocks).split(";") if part.strip()]
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        there = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
        for statement in statements:
            if "pgstat" not in statement or ("pgstattuple",) in there:
                connection.execute(statement.encode())
        connection.execute("DROP EXTENSION IF EXISTS pgstattuple")
    assert sum(word in statement for word in ("VACUUM", "REINDEX") for statement in statements) > 2


def test_the_holder_of_a_lock_is_found(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record())
    (query,) = sql_of("Who holds a lock")
    plain = postgres_url.replace("+psycopg", "")
    with (
        psycopg.connect(plain) as holder,
        psycopg.connect(plain, autocommit=True) as operator,
        ThreadPoolExecutor(1) as threads,
    ):
        holder.execute("LOCK sessions IN SHARE MODE")
        pid = holder.info.backend_pid
        waiting = threads.submit(store.delete, "id-a")
        assert until(lambda: operator.execute(query.encode()).fetchall() != [])
        (found,) = operator.execute(query.encode()).fetchall()
        holder.rollback()
        assert waiting.result(60)
    assert "DELETE" in found[1]
    assert found[2] == pid
    assert "LOCK sessions" in found[4]
    store.close()


@pytest.mark.parametrize("block", SQL, ids=lambda block: f"{block.page}-{block.heading}")
def test_the_sql_runs(postgres_url: str, block: Block) -> None:
    """What the other tests look at closer, and what they do not."""
    if block.heading in ("Care of the table", "Who holds a lock"):
        return
    store = sql_store(postgres_url)
    store.create(record("the-name", owner="user:42", payload='{"history": ["http://a/"]}'))
    store.close()
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(block.code.replace("the-name", "id-the-name").encode())
        (left,) = connection.execute("SELECT count(*) FROM sessions").fetchone() or ()
    assert left == (0 if block.code.startswith("DELETE") else 1)


@pytest.mark.all
def test_the_commands_run(postgres_url: str, tmp_path: Path) -> None:
    """As on the machine, where `site` also becomes the service's user."""
    assert len(COMMANDS) == 6
    config = production_ini(tmp_path)
    env = {"DATABASE_URL": postgres_url, "SESSION_SECRET": SECRET, "SITE_HOSTS": "localhost"}
    shell = Shell(tmp_path)
    shell.env = {**shell.env, **env}
    store = sql_store(postgres_url)
    lines = [line for block in COMMANDS for line in block.code.splitlines()]
    for number, line in enumerate(lines):
        now = datetime.now(UTC)
        times = {"seen_at": now, "created_at": now, "expires_at": now + timedelta(hours=1)}
        store.create(record(str(number), owner="user:42", **times))
        command = line.removeprefix("site ").replace("production.ini", config.name)
        if command.startswith("sessionsite end"):
            command += " --yes"  # there is no terminal to ask on
        assert shell.run(re.sub(r" (ID|the-name)\b", f" id-{number}", command))
    assert len(lines) > 12
    store.close()
