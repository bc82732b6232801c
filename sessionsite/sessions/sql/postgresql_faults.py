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
_ENCODINGS = ("UTF8", "SQL_ASCII")  # the second takes any bytes
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_STATUS_RIGHTS = ("SELECT", "INSERT", "UPDATE")


def clock_fault(connection: sa.Connection) -> Fault | None:
    """Return what is wrong if the server's clock and this host's are seconds apart."""
    # A database may have a DateStyle in which psycopg can't read a time, and few digits in floats.
    asked = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS numeric)")
    apart = float(connection.execute(asked).scalar_one()) - utc_now().timestamp()
    if abs(apart) <= MAX_SECONDS_APART:
        return None
    return Fault(
        f"the clock of the database is {apart:+.0f} seconds apart from this host's",
        "have both set their clocks by NTP",
    )


def postgresql_faults(connection: sa.Connection, table: sa.Table) -> Iterator[Fault]:
    """Yield the faults, each with what to do."""
    if connection.scalar(sa.text("SELECT pg_is_in_recovery()")):
        yield Fault(
            "the server is a standby, and can't be written",
            "name the primary in the URL, or add target_session_attrs=read-write to it",
        )
    if (fault := clock_fault(connection)) is not None:
        yield fault
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding not in _ENCODINGS:
        yield Fault(
            f"the database's encoding is {encoding}: an owner or label with a character that it "
            "lacks can't be stored",
            "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        )
    privilege = sa.text("SELECT has_table_privilege(CAST(:name AS regclass), :right)")
    quote = connection.dialect.identifier_preparer.format_table
    for right in _RIGHTS:
        if not connection.scalar(privilege, {"name": quote(table), "right": right}):
            yield Fault(
                f"the role has no right to {right} on {table.fullname}",
                f"GRANT {right} ON {table.fullname} TO its name",
            )
    status = status_table(table.name, table.schema)
    there = sa.text("SELECT to_regclass(:name) IS NOT NULL")
    if connection.scalar(there, {"name": quote(status)}):  # else upgrade-db makes it
        asked = [{"name": quote(status), "right": right} for right in _STATUS_RIGHTS]
        if not all(connection.scalar(privilege, each) for each in asked):
            yield Fault(
                f"the role can't use {status.fullname}, so that /healthz commits nothing",
                f"GRANT {', '.join(_STATUS_RIGHTS)} ON {status.fullname} TO its name",
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
