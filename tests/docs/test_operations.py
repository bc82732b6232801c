"""What docs/operations.md tells to do to the table can be done to it."""

import re

import psycopg
import pytest

from sessionsite.testing import record
from tests import ROOT
from tests.harness.stores import sql_store

pytestmark = pytest.mark.servers

SECTION = (
    (ROOT / "docs/operations.md")
    .read_text("utf-8")
    .partition("\n## Care of the table\n")[2]
    .partition("\n## ")[0]
)


def test_the_sql_for_the_tables_care_runs(postgres_url: str) -> None:
    store = sql_store(postgres_url)
    store.create(record())
    store.engine.dispose()
    blocks = re.findall(r"(?s)```sql\n(.*?)```", SECTION)
    statements = [part.strip() for part in ";".join(blocks).split(";") if part.strip()]
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        there = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
        for statement in statements:
            if "pgstat" not in statement or ("pgstattuple",) in there:
                connection.execute(statement.encode())
        connection.execute("DROP EXTENSION IF EXISTS pgstattuple")
    assert sum(word in statement for word in ("VACUUM", "REINDEX") for statement in statements) > 2
