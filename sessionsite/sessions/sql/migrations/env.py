"""What Alembic runs, for `upgrade.py`, on a connection of ours.

Alembic loads this file and the steps by their paths, as no part of a package: nothing of ours can
be imported here, and the folder works wherever it was copied to.
"""

from alembic import context

given = context.config.attributes["sessionsite"]
context.configure(
    connection=given.connection,
    version_table=given.version_table,
    version_table_schema=given.table.schema,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
