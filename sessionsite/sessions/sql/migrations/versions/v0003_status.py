"""The table beside it: a row for the health check, and one for the last pruning.

Processes of the version before go on, and know nothing of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    config = op.get_context().config
    assert config is not None
    given = config.attributes["sessionsite"].table
    op.create_table(
        f"{given.name}_status",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger),
        sa.Column("seconds", sa.Float),
        schema=given.schema,
        if_not_exists=True,
    )
