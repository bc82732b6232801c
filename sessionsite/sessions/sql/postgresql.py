"""PostgreSQL as a `Database`: its URL, its connections, its locks."""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict

from ..ini import ConfigurationError
from .connecting import Connector
from .database import Database, EngineOptions, Fault, SweepLocks
from .libpq import NoAnswerError, StoreConnection, UnreplicatedError
from .postgresql_faults import clock_fault, postgresql_faults
from .prepared import UNPREPARED, Begin, PostgreSQLStatement
from .session_settings import Limits
from .store_pool import StorePool

log = logging.getLogger(__name__)

# An arbitrary number that all who create or prune this table agree on.
ADVISORY_LOCK = 0x5E551025
_SWEEP_LOCK: sa.ColumnClause[int] = sa.literal_column(str(ADVISORY_LOCK + 1))
_LOCK_TIMEOUT = "1s"  # whoever comes behind a statement that waits for a lock waits as well
_A_DAY = 86400.0
_SCHEME = "postgresql://"  # what libpq calls it
_DRIVER = "postgresql+psycopg://"


class PostgreSQL(Database):
    """The `Database` for production."""

    where = "in a PostgreSQL database"
    durability = "is on the database server's disk"
    replication = "to the standby servers that the database has"
    survives_forks = True
    # the other levels would not see a table that was created while we waited for the lock
    creation_isolation = "READ COMMITTED"
    counts_what_it_deletes = True
    # a subquery: it is evaluated once, not for each row
    commits_at_once: sa.ColumnElement[bool] = sa.literal_column(
        "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'", sa.Boolean
    )
    sweep_locks = SweepLocks(
        take=sa.select(sa.func.pg_try_advisory_lock(_SWEEP_LOCK)),
        release=sa.select(sa.func.pg_advisory_unlock(_SWEEP_LOCK)),
        take_for_a_transaction=sa.select(sa.func.pg_try_advisory_xact_lock(_SWEEP_LOCK)),
    )
    # The cast makes a value of what is none: psycopg's codecs have no type void.
    owner_lock = sa.select(
        sa.cast(
            sa.func.pg_advisory_xact_lock(sa.bindparam("owner_number", type_=sa.BigInteger)),
            sa.Text,
        )
    )

    def engine_options(self, url: str, timeout: int) -> EngineOptions:
        # SQLAlchemy's URL stays empty: libpq's own parser has the last word on what it means.
        parameters = connection_parameters(url)
        parameters.setdefault("client_encoding", "UTF8")
        parameters.setdefault("fallback_application_name", "sessionsite")
        if "PGCONNECT_TIMEOUT" not in os.environ:
            hosts = str(parameters.get("host", "")).count(",") + 1
            # libpq takes no less than 2: the first host may be one that does not answer
            parameters.setdefault("connect_timeout", max(2, timeout // hosts))
        return EngineOptions(sa.make_url(_DRIVER), {"connect_args": parameters})

    def listen(self, engine: sa.Engine, timeout: int, change_timeout: int) -> None:
        limits = Limits.of_requests(timeout, change_timeout)
        sa.event.listen(engine, "do_connect", _Connect(engine, limits))

    def begin(self, dialect: sa.Dialect, *, for_change: bool) -> Begin:
        return Begin(for_change=for_change)

    def give_time(self, connection: Any) -> None:
        connection.limit(connection.request_limits.of_long_work())

    def take_time(self, connection: Any) -> None:
        connection.limit(connection.request_limits)

    def statement(
        self, name: str, statement: sa.Executable, dialect: sa.Dialect
    ) -> PostgreSQLStatement:
        return PostgreSQLStatement(name, statement)

    def keeps_locks(self, connection: Any) -> bool:
        return connection.prepare_threshold is not None

    def lock_creation(self, connection: sa.Connection) -> None:
        store_connection: Any = connection.connection.dbapi_connection
        self.give_time(store_connection)
        connection.exec_driver_sql("SET TRANSACTION READ WRITE")
        connection.exec_driver_sql(store_connection.opening.decode())
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))

    def clock_fault(self, connection: sa.Connection) -> Fault | None:
        return clock_fault(connection)

    def faults(self, connection: sa.Connection, table: sa.Table) -> Iterable[Fault]:
        store_connection: Any = connection.connection.dbapi_connection
        if store_connection.has_found_pooler:
            yield Fault(
                "a pooler stands between this process and the server: in transaction mode it keeps "
                "neither prepared statements nor settings nor locks of a session, so each "
                "statement sets its own, and LISTEN and temporary tables are lost",
                "nothing, if that is on purpose: add ?prepare_threshold=none to the URL to say so",
            )
        yield from postgresql_faults(connection, table)

    def prepare_upgrade(self, connection: sa.Connection) -> bool:
        store_connection: Any = connection.connection.dbapi_connection
        # a large index takes its time
        store_connection.limits = replace(store_connection.limits, answer=_A_DAY)
        for statement in (
            "SET statement_timeout = 0",
            f"SET lock_timeout = '{_LOCK_TIMEOUT}'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
        ):
            connection.exec_driver_sql(statement)
        # Not the function that waits: CREATE INDEX CONCURRENTLY would wait for whoever waits so.
        lock = sa.func.pg_try_advisory_lock(ADVISORY_LOCK)
        return bool(connection.scalar(sa.select(lock)))

    def prepare_index(self, connection: sa.Connection, name: str, schema: str | None) -> None:
        connection.exec_driver_sql("SET lock_timeout = 0")
        quote = connection.dialect.identifier_preparer.quote
        qualified = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
        found = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
        if connection.scalar(found, {"name": qualified}) is False:
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {qualified}")

    def is_others_turn(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.LockNotAvailable)

    def is_missing_table(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.UndefinedTable)

    def is_missing_column(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.UndefinedColumn)

    def is_forbidden(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.InsufficientPrivilege)

    def is_taken(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.UniqueViolation)

    def is_conflict(self, error: Exception) -> bool:
        return isinstance(
            error,
            (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, *UNPREPARED),
        )

    def is_locked(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.LockNotAvailable)

    def is_time_out(self, error: Exception) -> bool:
        kinds = NoAnswerError | UnreplicatedError | psycopg.errors.QueryCanceled
        return isinstance(error, kinds) or self.is_locked(error)

    def is_unreplicated(self, error: Exception) -> bool:
        return isinstance(error, UnreplicatedError)


class _Connect:
    """Makes the connections of one engine, in place of SQLAlchemy."""

    def __init__(self, engine: sa.Engine, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._connector = Connector()
        self._has_pooler = False

    def __call__(self, _dialect: Any, _record: Any, args: Any, kwargs: Any) -> StoreConnection:
        """Return a connection, within the time for an answer. Raises psycopg's errors."""
        pool = cast(StorePool, self._engine.pool)
        seconds = self._limits.answer
        if self._has_pooler:
            kwargs = kwargs | {"prepare_threshold": None}
        try:
            connection: StoreConnection = self._connector.connect(
                lambda: self._make(*args, **kwargs), lambda ready: pool.wait(ready, seconds)
            )
        except TimeoutError:
            raise NoAnswerError(f"no connection within {seconds:g} seconds") from None
        connection.room = pool.room
        connection.has_found_pooler |= self._has_pooler
        return connection

    def _make(self, *args: Any, **kwargs: Any) -> StoreConnection:
        connection = StoreConnection.connect(*args, **kwargs)
        connection.tell_of_pooler = self._note_pooler
        try:
            connection.prepare(self._limits)
        except BaseException:
            connection.close()
            raise
        return connection

    def _note_pooler(self, reason: str) -> None:
        if not self._has_pooler:
            self._has_pooler = True
            log.warning(
                "A pooler stands between this process and PostgreSQL (%s), so statements go "
                "unprepared, each in a transaction of its own. Add ?prepare_threshold=none to the "
                "URL to say so",
                reason,
            )


def connection_parameters(url: str) -> dict[str, Any]:
    """Return what psycopg is to connect with, as libpq itself reads `url`.

    Takes `postgresql://`, `postgres://` and `postgresql+psycopg://`, and the parameter
    `prepare_threshold=none` beside libpq's own. Raises `ConfigurationError`, which shows no part
    of a password.
    """
    url = re.sub(r"\Apostgres(ql)?(\+psycopg)?://", _SCHEME, url)
    # An @ in a password that is not encoded would be read as the end of it, and what follows as
    # a host or a database, which error messages name.
    authority, _, rest = url.removeprefix(_SCHEME).partition("/")
    if authority.count("@") > 1 or "@" in rest:
        raise ConfigurationError(
            "has an @ in the wrong place: in user, password, database and parameters write @ as "
            "%40, and : / ? # as %3A %2F %3F %23"
        )
    url, thresholds = _without_prepare_threshold(url)
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        if unknown := re.match('invalid URI query parameter: "(\\w+)"', str(exc)):
            # Behind a password the name may be what comes after an & in it.
            name = "" if "password=" in url else f", {unknown[1]}"
            raise ConfigurationError(
                f"has a parameter that libpq does not know{name}: remove it, and write & in a "
                "password as %26"
            ) from None
        raise ConfigurationError(
            "is no URL that libpq can read: give postgresql://user:password@host/database"
        ) from None
    if not re.fullmatch("[0-9,]*", str(parameters.get("port", ""))):
        raise ConfigurationError("the port is no number: give postgresql://user@host:5432/database")
    return {**parameters, **thresholds}


def _without_prepare_threshold(url: str) -> tuple[str, Mapping[str, None]]:
    """Take psycopg's own parameter, which libpq does not know, out of `url`."""
    user, at, rest = url.rpartition("@")  # a ? before it is part of the password
    address, question_mark, query = rest.partition("?")
    kept = []
    thresholds: dict[str, None] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name != "prepare_threshold":
            kept.append(pair)
        elif value.lower() == "none":
            thresholds[name] = None
        else:
            raise ConfigurationError(
                "has a prepare_threshold of another value than none, which prepares no statements: "
                "give none, or remove it"
            )
    query = "&".join(kept)
    return f"{user}{at}{address}{question_mark if query else ''}{query}", thresholds
