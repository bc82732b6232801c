"""The statements of the SQL store, described in SQLAlchemy and compiled once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..own import RESERVED_OWNER
from ..owner_store import SessionSummary
from ..store import Record
from .database import Database, Statement
from .values import UTCDateTime

COLUMNS = tuple(Record.__dataclass_fields__)
CHANGEABLE = tuple(name for name in COLUMNS if name not in ("id", "created_at"))

SUMMARY = tuple(name for name in SessionSummary.__dataclass_fields__ if name != "current")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Each statement, ready to run on a connection of the driver's."""

    begin: Statement
    begin_change: Statement
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
    sessions_of: Statement
    end_owner: Statement
    latest: Statement
    batch_end: Statement
    end_batch: Statement
    end_rest: Statement
    counts: Statement
    sweep: Statement | None = None
    sweep_end: Statement | None = None
    sweep_once: Statement | None = None
    owner_lock: Statement | None = None
    prune_count: Statement | None = None


def compile_statements(
    table: sa.TableClause, database: Database, dialect: sa.Dialect
) -> Statements:
    """Return the statements on `table`."""
    table = in_utc(table)
    c = table.c
    columns = [c[name] for name in COLUMNS]
    now = sa.bindparam("now", type_=UTCDateTime)
    alive = sa.or_(c.expires_at.is_(None), c.expires_at > now)
    mine = c.id == sa.bindparam("record_id", type_=sa.Text)
    described: dict[str, Any] = {
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
    } | _of_many(table, alive, now, database.commits_at_once)
    if (locks := database.sweep_locks) is not None:
        described["sweep"] = locks.take
        described["sweep_end"] = locks.release
        described["sweep_once"] = locks.take_for_a_transaction
    if database.counts_what_it_deletes:
        described["prune_count"] = _count_of(described["prune"])
    if database.owner_lock is not None:
        described["owner_lock"] = database.owner_lock
    return Statements(
        begin=database.begin(dialect, for_change=False),
        begin_change=database.begin(dialect, for_change=True),
        **{name: database.statement(name, each, dialect) for name, each in described.items()},
    )


def _count_of(prune: Any) -> sa.Select[Any]:
    """Return what counts the rows that `prune` deletes, and tells the latest end of them."""
    gone = prune.cte("gone")
    return sa.select(sa.func.count(), sa.func.max(gone.c.expires_at)).select_from(gone)


def _of_many(
    table: sa.TableClause,
    alive: sa.ColumnElement[bool],
    now: sa.BindParameter[datetime],
    commits_at_once: sa.ColumnElement[bool] | None,
) -> dict[str, Any]:
    """Return the statements that find rows otherwise than by the primary key."""
    c = table.c
    summary = [c[name] for name in SUMMARY]
    batch = sa.bindparam("batch", type_=sa.Integer)
    theirs = c.owner == sa.bindparam("owner", type_=sa.Text)
    # a CTE is evaluated once; a subquery may be again for each row, and pass its LIMIT
    expired = (
        sa.select(c.id)
        # The index has an entry for each row that has just been deleted: `since` steps over them.
        .where(c.expires_at >= sa.bindparam("since", type_=UTCDateTime), c.expires_at <= now)
        # A crash may bring such rows back, which open nothing and are deleted again.
        .where(sa.true() if commits_at_once is None else commits_at_once)
        .order_by(c.expires_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    reserved: sa.ColumnClause[str] = sa.literal_column(f"'{RESERVED_OWNER}'")
    no_marker = sa.or_(c.owner.is_(None), c.owner != reserved)
    after = c.id > sa.bindparam("after", type_=sa.Text)
    older = sa.delete(table).where(
        after,
        alive,
        no_marker,
        c.created_at < sa.bindparam("created_before", type_=UTCDateTime),
        c.seen_at < sa.bindparam("seen_before", type_=UTCDateTime),
    )
    count = sa.func.count
    return {
        "prune": sa.delete(table).where(c.id.in_(sa.select(expired.c.id))).returning(*summary),
        "sessions_of": sa.select(*summary).where(theirs, alive).order_by(c.seen_at.desc(), c.id),
        "end_owner": sa.delete(table)
        .where(theirs, alive, c.id != sa.bindparam("except_id", type_=sa.Text))
        .returning(*summary),
        "latest": sa.select(*summary)
        .where(alive, no_marker)
        .order_by(sa.nulls_first(c.expires_at.desc()))
        .limit(batch),
        "batch_end": sa.select(c.id)
        .where(after)
        .order_by(c.id)
        .limit(sa.literal_column("1"))
        .offset(sa.bindparam("skip", type_=sa.Integer)),
        "end_batch": older.where(c.id <= sa.bindparam("to", type_=sa.Text)).returning(*summary),
        "end_rest": older.returning(*summary),
        "counts": sa.select(
            sa.select(count()).select_from(table).scalar_subquery(),
            sa.select(count()).where(c.expires_at <= now).scalar_subquery(),
            sa.select(count()).where(c.owner == reserved, alive).scalar_subquery(),
            sa.select(count()).where(c.owner != reserved).scalar_subquery(),
            sa.select(count(c.owner.distinct())).where(c.owner != reserved).scalar_subquery(),
        ),
    }


def in_utc(table: sa.TableClause) -> sa.TableClause:
    """Return `table` as statements see it: its times are aware, and in UTC."""
    columns = (
        sa.column(c.name, UTCDateTime if isinstance(c.type, sa.DateTime) else c.type)
        for c in table.columns
    )
    return sa.table(table.name, *columns, schema=table.schema)
