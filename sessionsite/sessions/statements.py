"""The statements of the SQL store, described in SQLAlchemy and compiled once."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from .postgresql import PostgreSQLStatement
from .sqlite import SQLiteStatement
from .store import Record
from .table import ADVISORY_LOCK, UTCDateTime

COLUMNS = tuple(Record.__dataclass_fields__)
CHANGEABLE = tuple(name for name in COLUMNS if name not in ("id", "created_at"))


class Statement(Protocol):
    """What a database makes of one statement."""

    def run(
        self, connection: Any, values: Mapping[str, Any]
    ) -> tuple[list[Sequence[Any]], int]: ...


def _statements(table: sa.Table) -> dict[str, Any]:
    c = table.c
    columns = [c[name] for name in COLUMNS]
    now = sa.bindparam("now", type_=UTCDateTime)
    alive = sa.or_(c.expires_at.is_(None), c.expires_at > now)
    mine = c.id == sa.bindparam("record_id", type_=sa.Text)
    key = sa.bindparam("key", type_=sa.LargeBinary)
    expired = (
        sa.select(c.id)
        .where(c.expires_at <= now)
        .order_by(c.expires_at)
        .limit(sa.bindparam("batch", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        # a CTE is evaluated once; a subquery may be again for each row, and pass its LIMIT
        .cte("expired")
    )
    sweep_lock: sa.ColumnClause[int] = sa.literal_column(f"{ADVISORY_LOCK + 1}")
    return {
        "begin": sa.text("BEGIN"),
        "commit": sa.text("COMMIT"),
        "rollback": sa.text("ROLLBACK"),
        "sweep": sa.select(sa.func.pg_try_advisory_xact_lock(sweep_lock)),
        "create": sa.insert(table).values({c[n]: sa.bindparam(n) for n in COLUMNS}),
        "load": sa.select(*columns).where(c.key == key, alive),
        "load_old": sa.select(*columns).where(c.old_key == key, alive),
        "lock": sa.select(*columns).where(mine, alive).with_for_update(),
        "save": sa.update(table)
        .where(mine, alive, c.version == sa.bindparam("expected_version", type_=sa.Integer))
        .values(
            payload=sa.bindparam("payload"),
            seen_at=sa.bindparam("seen_at"),
            expires_at=sa.bindparam("expires_at"),
            version=c.version + sa.literal_column("1"),
        ),
        "update": sa.update(table).where(mine).values({n: sa.bindparam(n) for n in CHANGEABLE}),
        "delete": sa.delete(table).where(mine),
        "count_expired": sa.select(sa.func.count()).where(c.expires_at <= now),
        "prune": sa.delete(table).where(c.id.in_(sa.select(expired.c.id))).returning(c.id),
    }


def compile_statements(table: sa.Table, dialect: sa.Dialect) -> dict[str, Statement]:
    """Return each statement, ready to run on a connection of the driver's."""
    statements = _statements(table)
    if dialect.name == "postgresql":
        return {name: PostgreSQLStatement(name, each) for name, each in statements.items()}
    begin = {"begin": sa.text("BEGIN IMMEDIATE")}
    return {name: SQLiteStatement(each, dialect) for name, each in (statements | begin).items()}
