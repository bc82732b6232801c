"""The SQLAlchemy engine that the store runs on: its database, its options, its pool.

The engine is the session store's alone: a host app's own engine, pool and transactions are
another matter, and neither ever sees the other's.
"""

import re
from typing import Any, Final, cast

import sqlalchemy as sa

from ..ini import BOOLEANS, ConfigurationError
from ..sql_settings import SQLSettings
from ..waiting import WaitingRoom
from .database import Database
from .postgresql import PostgreSQL
from .sqlite import SQLite
from .store_pool import StorePool

_PREFIX = "session.sqlalchemy."
_DATABASES: Final[dict[str, Database]] = {"postgresql": PostgreSQL(), "sqlite": SQLite()}
_SCHEMES: Final = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
    "sqlite": "sqlite",
}
_BOOLEAN_OPTIONS = ("pool_pre_ping", "pool_use_lifo", "hide_parameters")
# SQLAlchemy takes less: then 0 is no limit, and -1 a pool that gives no connection.
_LEAST: Final = {"pool_size": 1, "max_overflow": -1, "pool_timeout": 0}
_SET_BY_THE_STORE = frozenset(
    {"connect_args", "creator", "isolation_level", "module", "paramstyle", "pool", "poolclass"}
)


def database_of(engine: sa.Engine) -> Database:
    """Return the database that `engine` is for: the only place that asks for its name."""
    return _DATABASES[engine.dialect.name]


def make_engine(settings: SQLSettings) -> sa.Engine:
    """Return an engine in AUTOCOMMIT mode for `settings`; it connects when first used.

    Raises `ConfigurationError`.
    """
    options = _options(settings)
    url = str(settings.engine["url"]).strip()
    database = _DATABASES[_kind(url)]
    try:
        made = database.engine_options(url, settings.timeout)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{_PREFIX}url: {exc}") from None
    except (sa.exc.ArgumentError, ValueError):
        raise _no_url() from None
    try:
        engine = sa.engine_from_config(
            # AUTOCOMMIT: most of the work is one statement, which needs no BEGIN and no COMMIT
            {**options, "url": made.url, "isolation_level": "AUTOCOMMIT"},
            prefix="",
            poolclass=StorePool,
            **made.arguments,
        )
    except (TypeError, ValueError, sa.exc.ArgumentError) as exc:
        line = " ".join(str(exc).split(", using configuration")[0].split())
        named = [k for k, v in options.items() if f"'{k}'" in line or repr(v) in line]
        raise ConfigurationError(
            f"{_PREFIX}{named[0] if named else '*'}: {line}: remove it, or give what "
            "SQLAlchemy's engine_from_config takes"
        ) from None
    pool = cast(StorePool, engine.pool)
    for name in sorted(_LEAST.keys() & options.keys()):
        if float(options[name]) < _LEAST[name]:
            raise ConfigurationError(
                f"{_PREFIX}{name} = {options[name]!r}: give at least {_LEAST[name]}"
            )
    if "pool_timeout" not in options:  # among which SQLAlchemy would round it
        pool.set_timeout(0.9 * settings.timeout)
    if settings.max_waiting is not None:
        pool.room = WaitingRoom(settings.max_waiting)
    database.listen(engine, settings.timeout, settings.transact_timeout)
    return engine


def _kind(url: str) -> str:
    """Return which of our databases `url` is for. Raises `ConfigurationError`."""
    match = re.match(r"([A-Za-z][\w+.-]*)://", url)
    if match is None:
        raise _no_url()
    if match[1] not in _SCHEMES:
        raise ConfigurationError(
            f"{_PREFIX}url: {match[1]!r} is not supported: give postgresql:// or sqlite:///"
        )
    return _SCHEMES[match[1]]


def _no_url() -> ConfigurationError:
    return ConfigurationError(
        f"{_PREFIX}url: is no database URL: give postgresql://user:password@host/database "
        "or sqlite:///file"
    )


def _options(settings: SQLSettings) -> dict[str, Any]:
    """Return what the operator has set for SQLAlchemy, typed, the URL aside."""
    options = {k: v for k, v in settings.engine.items() if k != "url"}
    for name in _BOOLEAN_OPTIONS:  # engine_from_config leaves these as (truthy) strings
        if name in options:
            value = BOOLEANS.get(str(options[name]).lower())
            if value is None:
                raise ConfigurationError(f"{_PREFIX}{name} = {options[name]!r}: give true or false")
            options[name] = value
    for name in sorted(_SET_BY_THE_STORE & options.keys()):
        raise ConfigurationError(
            f"{_PREFIX}{name}: the store sets it itself: remove it, and give what the driver "
            "is to know as a parameter of the URL"
        )
    # a request that waits for a moment beats a server that has no connection left for others
    options.setdefault("max_overflow", 0)
    # nothing to roll back: the store ends its transactions, or throws the connection away
    options.setdefault("pool_reset_on_return", None)
    return options
