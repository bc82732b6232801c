"""Owner, label, and time-outs of a session's own; the index by owner.

The columns are empty, so that no row is written: a moment's lock. The index is built beside reads
and writes. Processes of the version before go on: none of their statements names the columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

COLUMNS = {
    "owner": sa.Text,
    "label": sa.Text,
    "timeout": sa.Integer,
    "lifetime": sa.Integer,
    "persistent": sa.Boolean,
}


def upgrade() -> None:
    config = op.get_context().config
    assert config is not None
    given = config.attributes["sessionsite"]
    table, schema = given.table.name, given.table.schema
    there = given.columns()
    for name, kind in COLUMNS.items():
        if name not in there:
            op.add_column(table, sa.Column(name, kind), schema=schema)
    has_owner = sa.text("owner IS NOT NULL")
    with op.get_context().autocommit_block():
        index = f"{table}_owner"
        given.prepare_index(index)
        op.create_index(
            index, table, ["owner"], schema=schema, if_not_exists=True,
            postgresql_where=has_owner, sqlite_where=has_owner, postgresql_concurrently=True,
        )  # fmt: skip
