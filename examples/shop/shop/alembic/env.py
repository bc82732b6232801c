"""What Alembic runs: `alembic -c development.ini upgrade head`.

The tables of the sessions are not the shop's: `sessionsite init-db` makes them, `sessionsite
upgrade-db` changes them.
"""

from typing import Any

from alembic import context
from pyramid.paster import get_appsettings
from shop.models import Base, get_engine

from sessionsite.sessions import expand_environment

settings = expand_environment(get_appsettings(context.config.config_file_name))


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Return whether `alembic revision --autogenerate` is to compare a table."""
    return kind != "table" or name in Base.metadata.tables


engine = get_engine(settings)
with engine.connect() as connection:
    context.configure(connection, target_metadata=Base.metadata, include_name=is_ours)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
