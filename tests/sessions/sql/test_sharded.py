"""The store on a table that is split by a hash of the id, as docs/scale.md has it made."""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from sessionsite.sessions.sql import create_table, diagnose, upgrade_table
from sessionsite.sessions.sql.statements import Statements
from sessionsite.testing import START, record
from tests import ROOT
from tests.contract.kit import SQLContract
from tests.docs.blocks import blocks, take_one
from tests.harness.stores import sql_store

PAGE = "scale.md"
TEXT = (ROOT / "docs" / PAGE).read_text("utf-8")
SPLIT = take_one(PAGE, "Hash partitions", "postgresql")
PARTITIONS = 16
# What is asked of a plan needs values: this one is a text, a number, a time, bytes and JSON.
VALUE = "'20010101'"
OTHERS = {"to": "'z'"} | dict.fromkeys(("old_token_valid", "token_confirmed", "persistent"), "'1'")


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def split_store(postgres_url: str) -> Iterator[Any]:
    store = sql_store(postgres_url)
    store.create(record("before"))
    with connect(postgres_url) as connection:
        connection.execute(SPLIT.encode())
    yield store
    store.close()


@pytest.mark.all
class TestSplitStore(SQLContract):
    @pytest.fixture
    def store(self, split_store: Any, postgres_url: str) -> Any:
        self.url = postgres_url
        split_store.delete(record("before").id)
        return split_store


def partitions(connection: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT relid::text FROM pg_partition_tree('sessions') WHERE isleaf"
    return [name for (name,) in connection.execute(query).fetchall()]


def relations(plan: Any) -> Iterator[str]:
    """The tables in a plan, in JSON, that are read or written."""
    if isinstance(plan, dict):
        if "Relation Name" in plan:
            yield plan["Relation Name"]
        plan = list(plan.values())
    for each in plan if isinstance(plan, list) else []:
        yield from relations(each)


def planned(connection: psycopg.Connection[Any], name: str, statement: Any) -> int:
    """How many partitions PostgreSQL's own plan of a statement has, for one set of values."""
    values = ", ".join(OTHERS.get(n, VALUE) for n in statement.names)
    connection.execute(f"PREPARE the_{name} AS {statement.sql.decode()}".encode())
    execute = f"EXECUTE the_{name}({values})" if values else f"EXECUTE the_{name}"
    plans = connection.execute(f"EXPLAIN (FORMAT JSON) {execute}".encode()).fetchall()
    found = {name for (plan,) in plans for name in relations(plan)} & {*partitions(connection)}
    # A plan of INSERT has no partition: its one row, whose id it gives, goes into one.
    return len(found) or int(statement.sql.startswith(b"INSERT") and "id" in statement.names)


@pytest.mark.servers
def test_the_page_tells_of_each_statement_whether_it_fans_out(
    split_store: Any, postgres_url: str
) -> None:
    statements = split_store._statements
    of_the_table = {
        field.name: each
        for field in fields(Statements)
        if b"sessions" in getattr(each := getattr(statements, field.name), "sql", b"")
    }
    said = re.findall(r"(?m)^\| `(\w+)` \|.*\| (\d+) \|$", TEXT)
    with connect(postgres_url) as connection:
        connection.execute("SET plan_cache_mode = force_custom_plan")
        assert len(partitions(connection)) == PARTITIONS
        found = {name: planned(connection, name, each) for name, each in of_the_table.items()}
    assert {name: int(number) for name, number in said} == found
    assert set(found.values()) == {1, PARTITIONS}


@pytest.mark.servers
def test_rows_stay_and_the_commands_take_the_table_as_it_is(split_store: Any) -> None:
    assert split_store.load(record("before").id, START) is not None
    before, after = upgrade_table(split_store.engine, split_store.table)
    assert before == after
    assert not create_table(split_store.engine, split_store.table)
    assert split_store.remark() is None
    assert list(diagnose(split_store)) == []


@pytest.mark.servers
def test_what_prunes_each_shard_leaves_the_living(split_store: Any, postgres_url: str) -> None:
    (code,) = [block.code for block in blocks(PAGE) if "run_command_on_shards" in block.code]
    (delete,) = re.findall(r"\$\$(.*?)\$\$", code)
    now = START + timedelta(days=36500)
    for number in range(50):
        split_store.create(record(f"old-{number}", expires_at=START - timedelta(days=9999)))
    split_store.create(record("new", expires_at=now))
    with connect(postgres_url) as connection:
        for partition in partitions(connection):
            connection.execute((delete % partition).encode())
    assert split_store.counts(START).expired == 0
    assert split_store.load(record("new").id, START) is not None
