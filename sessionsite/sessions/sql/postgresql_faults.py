"""What can be wrong with a PostgreSQL server, a database or a role, for `sessionsite doctor`."""

from collections.abc import Iterator

import sqlalchemy as sa

from ..store import utc_now
from .database import Fault
from .table import status_table

MAX_SECONDS_APART = 5
# What the store sets for itself; a pooler, or a role without rights, can undo that.
_DEFAULTS = {
    "default_transaction_isolation": ("read committed",),
    "default_transaction_read_only": ("off",),
    "statement_timeout": ("0",),
    "lock_timeout": ("0",),
    "idle_in_transaction_session_timeout": ("0",),
    "standard_conforming_strings": ("on",),
    "client_encoding": ("utf8", "'utf8'", "unicode"),
}
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def postgresql_faults(connection: sa.Connection, table: sa.Table) -> Iterator[Fault]:
    """Yield the faults, each with what to do."""
    if connection.scalar(sa.text("SELECT pg_is_in_recovery()")):
        yield Fault(
            "the server is a standby, and can't be written",
            "name the primary in the URL, or add target_session_attrs=read-write to it",
        )
    if _through_pooler(connection):
        yield Fault(
            "a pooler stands between this process and the server: in transaction mode it keeps "
            "neither prepared statements nor settings nor locks of a session, so each statement "
            "sets its own, and LISTEN, WITH HOLD cursors and temporary tables are lost",
            "nothing, if that is on purpose: add ?prepare_threshold=none to the URL to say so",
        )
    apart = (connection.scalar(sa.text("SELECT clock_timestamp()")) - utc_now()).total_seconds()
    if abs(apart) > MAX_SECONDS_APART:
        yield Fault(
            f"the clock of the database is {apart:+.0f} seconds apart from this host's",
            "have both set their clocks by NTP",
        )
    privilege = sa.text("SELECT has_table_privilege(CAST(:name AS regclass), :right)")
    quote = connection.dialect.identifier_preparer.format_table
    status = status_table(table.name, table.schema)
    for each in (table, status):
        if each is status and not sa.inspect(connection).has_table(status.name, status.schema):
            continue  # an app's own migrations need not make it
        for right in _RIGHTS:
            if not connection.scalar(privilege, {"name": quote(each), "right": right}):
                yield Fault(
                    f"the role has no right to {right} on {each.fullname}",
                    f"GRANT {right} ON {each.fullname} TO its name",
                )
    rows = connection.execute(
        sa.text("SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setdatabase IN (0, "
                "(SELECT oid FROM pg_database WHERE datname = current_database())) AND setrole "
                "IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))")
    )  # fmt: skip
    for (setting,) in rows:
        name, _, value = setting.partition("=")
        if name in _DEFAULTS and value.lower() not in _DEFAULTS[name]:
            yield Fault(
                f"the database or the role has {name} = {value}; the store sets its own, unless a "
                "pooler undoes that",
                f"ALTER DATABASE ... RESET {name}, or ALTER ROLE ... RESET {name}",
            )


def _through_pooler(connection: sa.Connection) -> bool:
    """Return whether the store has found a pooler that the URL does not speak of."""
    found: bool = connection.connection.dbapi_connection.has_found_pooler  # type: ignore[union-attr]
    return found
