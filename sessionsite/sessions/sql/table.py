"""The table: one row per session, one column per field of `Record`; and one beside it."""

from typing import Any

import sqlalchemy as sa

# Room in each page for the next version of its rows (HOT updates).
# SQLAlchemy 2.0 has no keyword for WITH, but one for what stands before it.
_ROOM: dict[str, Any] = (
    {"postgresql_using": "heap WITH (fillfactor = 80)"}
    if sa.__version__.startswith("2.0.")
    else {"postgresql_with": {"fillfactor": 80}}
)


def sessions_table(
    name: str = "sessions", schema: str | None = None, metadata: sa.MetaData | None = None
) -> sa.Table:
    """Return the table's definition, as `session.sql.table` and `session.sql.schema` name it.

    `metadata` is that of an app whose migrations are to own the table. The types are SQLAlchemy's
    own, so that Alembic writes migrations which need nothing of ours. On SQLite the store keeps
    times in UTC, and SQLAlchemy reads them back without a zone.

    What a request does goes by the primary key. The other two indexes are for the pruner, and for
    lists and ends by owner: neither a save nor a rotation changes one.
    """
    time = sa.DateTime(timezone=True)
    has_owner = sa.text("owner IS NOT NULL")
    no = sa.text("false")  # as both databases have it: one migration runs on either
    return sa.Table(
        name,
        sa.MetaData() if metadata is None else metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        # JSON, not JSONB: it keeps the text as it was written, "\u0000" included
        sa.Column("payload", sa.Text().with_variant(sa.JSON(), "postgresql"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("seen_at", time, nullable=False),
        sa.Column("expires_at", time),
        sa.Column("old_token_hash", sa.LargeBinary),
        sa.Column("old_token_valid", sa.Boolean, nullable=False, server_default=no),
        sa.Column("rotated_at", time),
        sa.Column("token_confirmed", sa.Boolean, nullable=False, server_default=no),
        owner := sa.Column("owner", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("timeout", sa.Integer),
        sa.Column("lifetime", sa.Integer),
        sa.Column("persistent", sa.Boolean),
        sa.Index(f"{name}_expires_at", "expires_at"),
        # most sessions of most sites have no owner
        sa.Index(f"{name}_owner", owner, postgresql_where=has_owner, sqlite_where=has_owner),
        schema=schema,
        **_ROOM,
    )


def status_table(
    name: str = "sessions", schema: str | None = None, metadata: sa.MetaData | None = None
) -> sa.Table:
    """Return the definition of the table beside the sessions table `name`.

    It has a row for the health check, which writes and commits, and one for the last pruning.
    """
    return sa.Table(
        f"{name}_status",
        sa.MetaData() if metadata is None else metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger),
        sa.Column("seconds", sa.Float),
        schema=schema,
    )
