"""The statements of the SQL store, described in SQLAlchemy and compiled once."""

from dataclasses import dataclass

import sqlalchemy as sa

from ..store import Record
from .database import Database, Statement
from .values import UTCDateTime

COLUMNS = tuple(Record.__dataclass_fields__)
CHANGEABLE = tuple(name for name in COLUMNS if name not in ("id", "created_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Each statement, ready to run on a connection of the driver's."""

    begin: Statement
    commit: Statement
    rollback: Statement
    create: Statement
    load: Statement
    lock: Statement
    save: Statement
    update: Statement
    delete: Statement
    count_expired: Statement
    prune: Statement
    sweep: Statement | None = None


def compile_statements(
    table: sa.TableClause, database: Database, dialect: sa.Dialect
) -> Statements:
    """Return the statements on `table`."""
    table = _in_utc(table)
    c = table.c
    columns = [c[name] for name in COLUMNS]
    now = sa.bindparam("now", type_=UTCDateTime)
    alive = sa.or_(c.expires_at.is_(None), c.expires_at > now)
    mine = c.id == sa.bindparam("record_id", type_=sa.Text)
    expired = (
        sa.select(c.id)
        .where(c.expires_at <= now)
        .order_by(c.expires_at)
        .limit(sa.bindparam("batch", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        # a CTE is evaluated once; a subquery may be again for each row, and pass its LIMIT
        .cte("expired")
    )

    described: dict[str, sa.Executable] = {
        "begin": database.begin,
        "commit": sa.text("COMMIT"),
        "rollback": sa.text("ROLLBACK"),
        "create": sa.insert(table).values({c[n]: sa.bindparam(n) for n in COLUMNS}),
        "load": sa.select(*columns).where(mine, alive),
        "lock": sa.select(*columns).where(mine, alive).with_for_update(),
        "save": sa.update(table)
        .where(mine, alive, c.version == sa.bindparam("expected_version", type_=sa.Integer))
        .values(
            payload=sa.bindparam("payload"),
            seen_at=sa.bindparam("seen_at"),
            expires_at=sa.bindparam("expires_at"),
            token_confirmed=sa.bindparam("token_confirmed"),
            version=c.version + sa.literal_column("1"),
        ),
        "update": sa.update(table).where(mine).values({n: sa.bindparam(n) for n in CHANGEABLE}),
        "delete": sa.delete(table).where(mine),
        "count_expired": sa.select(sa.func.count()).where(c.expires_at <= now),
        "prune": sa.delete(table).where(c.id.in_(sa.select(expired.c.id))).returning(c.id),
    }
    if database.sweep_lock is not None:
        described["sweep"] = database.sweep_lock
    return Statements(
        **{name: database.statement(name, each, dialect) for name, each in described.items()}
    )


def _in_utc(table: sa.TableClause) -> sa.TableClause:
    """Return `table` as statements see it: its times are aware, and in UTC."""
    columns = (
        sa.column(c.name, UTCDateTime if isinstance(c.type, sa.DateTime) else c.type)
        for c in table.columns
    )
    return sa.table(table.name, *columns, schema=table.schema)
