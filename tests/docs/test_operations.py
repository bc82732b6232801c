"""What docs/operations.md tells to do to the table can be done to it."""

import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from sessionsite.testing import record
from tests import ROOT
from tests.harness.observing import until
from tests.harness.stores import sql_store

pytestmark = pytest.mark.servers

DOCUMENT = (ROOT / "docs/operations.md").read_text("utf-8")


def sql_of(heading: str) -> list[str]:
    """The blocks of SQL below a heading."""
    section = DOCUMENT.partition(f"# {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"(?s)```sql\n(.*?)```", section)


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
