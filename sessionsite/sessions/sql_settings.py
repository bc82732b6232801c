"""The keys of the SQL store, each written once; `settings.py` has those of the factories."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .ini import BOOLEAN, SettingsReader, key, keys_of, optional_text, text, whole

PREFIX: Final = "session."
SQL_SECTIONS: Final = ("sql.", "sqlalchemy.", "max_waiting")
"""What the store's keys begin with."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SQLSettings:
    """The keys of the SQL store, as typed values: where its table is, and how long it waits.

    A field has the name of its key below `session.sql.`; times are whole seconds.
    """

    table: str = key(text("name"), "The table.", default="sessions", name="sql.table")
    schema: str | None = key(
        optional_text("name"),
        "The table's schema; `none` follows the role's `search_path`. The schema must exist.",
        default=None,
        name="sql.schema",
    )
    create_table: bool = key(
        BOOLEAN,
        "Whether a missing table is created at start, as `sessionsite init-db CONFIG_URI` does. "
        "The role then needs the right to create tables for as long as the site runs.",
        default=False,
        name="sql.create_table",
    )
    timeout: int = key(
        whole("seconds"),
        "How long a request waits for each of these: a new connection (name look-up included), a "
        "free connection of the pool, a statement. Before the time is up, the answer is the 503 "
        "page, and the server has been told to give the statement up.",
        default=5,
        name="sql.timeout",
    )
    transact_timeout: int = key(
        whole("seconds"),
        "How long the function that `transact` calls may take. After that PostgreSQL ends its "
        "transaction, nothing is stored, and the answer is the 503 page.",
        default=60,
        name="sql.transact_timeout",
    )
    max_waiting: int | None = key(
        whole("requests"),
        "How many requests may wait for a row, a connection or an answer for longer than a moment, "
        "half a second, while nothing moves. The answer to all others that would have to wait is "
        "the 503 page, so that threads remain for everyone else.",
        default=None,
        documented="half of `session.sqlalchemy.pool_size`",
        name="max_waiting",
    )
    engine: Mapping[str, Any]
    """What is under `session.sqlalchemy.`, for SQLAlchemy."""

    def __repr__(self) -> str:
        return f"<SQLSettings of {self.table}>"  # the URL may hold a password


SQL_KEYS: Final = frozenset(keys_of(SQLSettings))


def sql_settings(settings: Mapping[str, Any]) -> SQLSettings:
    """Read what says where the table is; no other key is looked at, a secret least of all.

    Raises `ConfigurationError`.
    """
    prefixes = tuple(f"{PREFIX}{section}" for section in SQL_SECTIONS)
    read = SettingsReader({k: v for k, v in settings.items() if k.startswith(prefixes)}, PREFIX)
    engine = read.section("sqlalchemy.")
    if not engine.get("url"):
        read.refuse("sqlalchemy.url", "is required: postgresql://user@host/database, for example")
    sql = SQLSettings(**read.keys(SQLSettings), engine=engine)
    read.finish()
    return sql
