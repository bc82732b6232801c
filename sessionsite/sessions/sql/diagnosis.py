"""What is wrong with a store's database, fault by fault, for `sessionsite doctor`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ..data import new_id
from ..store import Record, StoreError, utc_now
from .database import Fault
from .engine import database_of
from .store import SQLAlchemyStore
from .upgrade import remark_of_table
from .values import driver_error, one_line


def diagnose(store: SQLAlchemyStore) -> Iterator[Fault]:
    """Yield what is wrong; nothing where all is well.

    Writes a row of its own, and deletes it. A store that fails is a fault, and raises nothing.
    """
    try:
        said = remark_of_table(store.engine, store.table)
    except StoreError as exc:
        yield Fault(f"the database does not answer: {exc}", "start it, or mend the URL")
        return
    if said:
        fault, _, mend = said.rpartition(": ")
        yield Fault(fault, mend)
        return
    yield from _missing_indexes(store)
    try:
        with store.engine.connect() as connection:
            yield from database_of(store.engine).faults(connection, store.table)
    except SQLAlchemyError as exc:
        reason = one_line(driver_error(exc))
        yield Fault(f"the database can't be looked into: {reason}", "mend the role's rights")
    yield from _write_and_read(store)


def _missing_indexes(store: SQLAlchemyStore) -> Iterator[Fault]:
    table = store.table
    there = {
        tuple(index["column_names"])
        for index in sa.inspect(store.engine).get_indexes(table.name, table.schema)
    }
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        columns = tuple(column.name for column in index.columns)
        if columns not in there:
            yield Fault(
                f"table {table.fullname} has no index on {', '.join(columns)}",
                f"CREATE INDEX CONCURRENTLY {index.name} ON {table.fullname} "
                f"({', '.join(columns)})",
            )


def _write_and_read(store: SQLAlchemyStore) -> Iterator[Fault]:
    """Do what a session does, and say which of it fails."""
    now = utc_now()
    record = Record(
        id=new_id(), token_hash=b"", payload="{}", version=1, created_at=now, seen_at=now,
        expires_at=now + timedelta(minutes=1),
    )  # fmt: skip
    steps: dict[str, Callable[[], Any]] = {
        "insert": lambda: store.create(record),
        "select": lambda: store.load(record.id, now),
        "update": lambda: store.save(replace(record, payload='{"a":1}'), 1, now),
        "delete": lambda: store.delete(record.id),
    }
    for name, step in steps.items():
        try:
            done = step()
            if done is False or (done is None and name == "select"):
                yield Fault(
                    f"a session's {name} does nothing, and reports no error",
                    f"look for a trigger, a rule or a row-level policy on {store.table.fullname}",
                )
        except StoreError as exc:
            yield Fault(
                f"a session's {name} fails: {exc}",
                f"a primary that can be written, and GRANT {name.upper()} ON "
                f"{store.table.fullname} to the role",
            )
