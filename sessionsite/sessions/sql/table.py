"""The table: one row per session, one column per field of `Record`."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from .values import UTCDateTime


def sessions_table(name: str = "sessions", schema: str | None = None) -> sa.Table:
    """Return the table's definition under `name`.

    Every statement but the pruner's goes by the primary key, and `expires_at` is the only other
    index: neither a save nor a rotation changes one.
    """
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        # JSON, not JSONB: it keeps the text as it was written, "\u0000" included
        sa.Column(
            "payload", sa.Text().with_variant(postgresql.JSON(), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("seen_at", UTCDateTime, nullable=False),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("old_token_hash", sa.LargeBinary),
        sa.Column("old_token_valid", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("rotated_at", UTCDateTime),
        sa.Column("token_confirmed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Index(f"{name}_expires_at", "expires_at"),
        schema=schema,
        # room in each page for the next version of its rows (PostgreSQL: HOT updates)
        postgresql_with={"fillfactor": 80},
    )
