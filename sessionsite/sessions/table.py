"""The table: one row a session. `sessionsite init-db` creates it, as `docs/deployment.md` shows."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from .store import MalformedRecordError, StoreError

# An arbitrary number that everybody who creates or sweeps this table agrees on.
ADVISORY_LOCK = 0x5E551025


class UTCDateTime(sa.types.TypeDecorator[dt.datetime]):
    """An aware datetime in UTC, whatever the server's, the database's or the driver's zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> Any:
        if value is None:
            return None
        value = value.astimezone(dt.UTC)
        # SQLite keeps text, which sorts as time does as long as all of it is in one zone
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return value.replace(tzinfo=dt.UTC)  # type: ignore[no-any-return]  # a datetime
        return value.astimezone(dt.UTC)  # type: ignore[no-any-return]  # a datetime


def sessions_table(name: str = "sessions", schema: str | None = None) -> sa.Table:
    """Return the table's definition under `name`; the columns are those of `Record`."""
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", sa.LargeBinary, nullable=False),
        # JSON, not JSONB: it keeps the text as it was written, "\u0000" included
        sa.Column(
            "payload", sa.Text().with_variant(postgresql.JSON(), "postgresql"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("seen_at", UTCDateTime, nullable=False),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("old_key", sa.LargeBinary),
        sa.Column("old_open", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("rotated_at", UTCDateTime),
        sa.Index(f"{name}_key", "key", unique=True),
        sa.Index(f"{name}_expires_at", "expires_at"),
        sa.Index(
            f"{name}_old_key",
            "old_key",
            unique=True,
            postgresql_where=sa.text("old_key IS NOT NULL"),
            sqlite_where=sa.text("old_key IS NOT NULL"),
        ),
        schema=schema,
        # room in each page for the next version of its rows (PostgreSQL: HOT updates)
        postgresql_with={"fillfactor": 80},
    )


def create_table(engine: sa.Engine, table: sa.Table) -> bool:
    """Create `table` where it is missing; return whether it was.

    Safe to repeat, and from several hosts at once: they wait for each other on an advisory
    lock. Raises `StoreError`, also where a table of that name has other columns.
    """
    try:
        with engine.connect().execution_options(isolation_level=_isolation(engine)) as connection:
            _wait_for_others(connection)
            inspector = sa.inspect(connection)
            created = not inspector.has_table(table.name, schema=table.schema)
            if created:
                connection.execute(CreateTable(table))
                for index in sorted(table.indexes, key=lambda index: str(index.name)):
                    connection.execute(CreateIndex(index))
            columns = {c["name"] for c in inspector.get_columns(table.name, table.schema)}
            connection.commit()
    except sa.exc.SQLAlchemyError as exc:
        reason = getattr(exc, "orig", None) or exc
        raise StoreError(f"can't create table {table.fullname}: {one_line(reason)}") from exc
    finally:
        engine.dispose()  # a process that forks after this must not share the connection
    missing = ", ".join(sorted(set(table.columns.keys()) - columns))
    if missing:
        raise StoreError(f"table {table.fullname} exists, but lacks the columns {missing}")
    return created


def _isolation(engine: sa.Engine) -> Literal["READ COMMITTED", "SERIALIZABLE"]:
    # PostgreSQL's other levels would not see a table that was created while we waited; SQLite
    # has the one name for its transactions
    return "READ COMMITTED" if engine.dialect.name == "postgresql" else "SERIALIZABLE"


def _wait_for_others(connection: sa.Connection) -> None:
    """Let nobody else create the table until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def one_line(exc: BaseException) -> str:
    """A driver's error in one line, without the statement and its parameters."""
    return " ".join(str(exc).split()) or type(exc).__name__


def decoded(row: Sequence[Any], decoders: Sequence[Callable[[Any], Any]]) -> list[Any]:
    """Return the values of `row`, each by its decoder. Raises `MalformedRecordError`."""
    try:
        return [
            None if value is None else decode(value)
            for value, decode in zip(row, decoders, strict=True)
        ]
    except (ValueError, TypeError, AttributeError, OverflowError) as exc:
        id_ = row[0].decode(errors="replace") if isinstance(row[0], bytes) else row[0]
        raise MalformedRecordError(f"the row of session {id_}: {one_line(exc)}") from exc
