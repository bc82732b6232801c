"""The table as it was before sessions had owners. `init-db` makes the newest one at once."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """There is nothing to do."""
