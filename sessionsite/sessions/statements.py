"""The statements of the SQL store, described in SQLAlchemy and compiled once."""

from typing import Any

import sqlalchemy as sa

from .store import Record
from .table import UTCDateTime

COLUMNS = tuple(Record.__dataclass_fields__)
TIMES = tuple(name for name in COLUMNS if name.endswith("_at"))
CHANGEABLE = tuple(name for name in COLUMNS if name not in ("id", "created_at"))


def _compile(statement: Any, dialect: sa.Dialect) -> tuple[str, dict[str, Any]]:
    """Return the SQL text and those of its parameters that never change."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), {k: v for k, v in compiled.params.items() if v is not None}


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
    return {
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


def compile_statements(
    table: sa.Table, dialect: sa.Dialect
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return each statement's SQL text, and those of its parameters that never change."""
    return {name: _compile(statement, dialect) for name, statement in _statements(table).items()}
