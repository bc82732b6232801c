"""What the benchmarks use of sessionsite beneath its public API, all in one place."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyramid.interfaces import ISessionFactory

from sessionsite.sessions.server.token_cookie import Credentials
from sessionsite.sessions.sql import SQLAlchemyStore
from sessionsite.sessions.sql.statements import COLUMNS
from tests.harness.stores import sql_store

TABLE = "sessions"
# What rows are made with: number n has the token of the same number, and an id made from it.
ROW_ID = "left(encode(sha256(({})::text::bytea), 'hex'), 22)"
FILL = f"""
INSERT INTO sessions (id, token_hash, payload, version, created_at, seen_at, expires_at, owner)
SELECT {ROW_ID.format("n")},
       sha256(decode(repeat('00', 24), 'hex') || int8send(n)), %s::json, 1, now(), now(),
       now() + interval '20 minutes' * random() + interval '10 hours',
       'user:' || n / nullif(%s::bigint, 0)
FROM generate_series(%s::bigint, %s::bigint) AS n
"""  # noqa: S608  # ours
# The two statements of a visit as pgbench runs them, by what each parameter is called.
FOR_PGBENCH = {
    "now": "now()",
    "seen_at": "now()",
    "record_id": ROW_ID.format(":n"),
    "expected_version": ":version",
    "payload": ":payload",
    "expires_at": ":expires_at",
    "token_confirmed": "true",
}

Store = SQLAlchemyStore


def row_id(number: int) -> str:
    """Return the id of row `number`, as `FILL` makes it."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:22]


def create_table(url: str) -> None:
    sql_store(url).engine.dispose()


@contextmanager
def opened(url: str, connections: int = 1, timeout: int = 5) -> Iterator[Store]:
    """A store on a table that is there, with a pool of so many connections."""
    engine = {"pool_size": str(connections)}
    store = sql_store(url, engine=engine, create_table=False, timeout=str(timeout))
    yield store
    store.engine.dispose()


def visit(store: Store, number: int) -> bool:
    """Load row `number` and save it; say if it was saved."""
    now = datetime.now(UTC)
    record = store.load(row_id(number), now)
    assert record is not None
    return store.save(replace(record, seen_at=now), record.version, now)


def owner(number: int, each: int) -> str:
    """Return the owner of row `number`, where each owner has so many rows."""
    return f"user:{number // each}"


def for_load(number: int) -> dict[str, Any]:
    """The values of the statement `load`."""
    return {"record_id": row_id(number), "now": datetime.now(UTC)}


def for_save(row: Sequence[Any], now: Any) -> dict[str, Any]:
    """The values of the statement `save`, for a row that `load` has found."""
    found = dict(zip(COLUMNS, row, strict=True))
    values = {name: found[name] for name in ("payload", "expires_at")}
    return values | {
        "record_id": found["id"],
        "expected_version": found["version"],
        "seen_at": now,
        "token_confirmed": found["token_confirmed"],
        "now": now,
    }


def statement(store: Store, name: str) -> Any:
    """With `.sql`, `.names` and `.run(connection, values)`."""
    return getattr(store._statements, name)


def with_values(store: Store, name: str, value: Callable[[str], str]) -> str:
    """The text of a statement of the store's; `value` gives what stands for each parameter."""
    prepared = statement(store, name)
    return re.sub(
        r"\$(\d+)",  # as a whole: $1 is the beginning of $10
        lambda found: value(prepared.names[int(found[1]) - 1]),
        prepared.sql.decode(),
    )


@contextmanager
def lent(store: Store) -> Iterator[Any]:
    """A connection of the store's pool, as the store itself takes it for one statement."""
    pool: Any = store.engine.pool
    pooled = pool.lend()
    yield pooled.dbapi_connection
    pool.take_back(pooled)


def cookie(app: Any, number: int) -> str:
    """The `Cookie` header of the visitor of row `number`, for a WSGI app of the site."""
    factory = app.registry.getUtility(ISessionFactory)
    credentials = Credentials(row_id(number), number.to_bytes(32, "big"))
    value = factory.cookie._signer.dumps(credentials).decode()
    return f"{factory.settings.cookie_name}={value}"
