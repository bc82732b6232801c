"""The steps from one version of the table to the next, for Alembic: `sessionsite upgrade-db`."""
