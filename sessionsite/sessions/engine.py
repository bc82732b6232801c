"""The SQLAlchemy engine that the store runs on: its URL, its time-outs, its connections.

The engine is the session store's alone: a host app's own engine, pool and transactions are
another matter, and neither ever sees the other's.
"""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import URL, make_url

from .configuration import BOOLEANS, ConfigurationError
from .pool import StorePool
from .postgresql import connector
from .settings import SQLSettings
from .sqlite import preparer

_PREFIX = "session.sqlalchemy."
_BOOLEAN_OPTIONS = ("pool_pre_ping", "pool_use_lifo", "hide_parameters")
_SET_BY_THE_STORE = frozenset(
    {"connect_args", "creator", "isolation_level", "module", "paramstyle", "pool", "poolclass"}
)
_HOST_LIST = re.compile(
    r"(?P<scheme>[\w+]+://)(?P<user>[^/?#]*@)?(?P<hosts>[^/?#@]*)(?P<rest>.*)", re.DOTALL
)


def database_url(text: str) -> URL:
    """Return the URL that SQLAlchemy takes for what users write in `DATABASE_URL`.

    Takes postgres://, postgresql:// and postgresql+psycopg://, with several hosts
    (`host1:5432,host2`) and a percent-encoded socket directory as libpq does, and sqlite:///.
    Raises `ConfigurationError`, which never shows a password.
    """
    key = f"{_PREFIX}url"
    text = re.sub(r"\Apostgres(ql)?://", "postgresql+psycopg://", text.strip())
    hosts: list[str] = []
    match = _HOST_LIST.fullmatch(text)
    if match and text.startswith("postgresql") and re.search("[,%]", match["hosts"]):
        # SQLAlchemy takes one host in the URL's own place, more of them as parameters
        hosts = [unquote(host) for host in match["hosts"].split(",")]
        text = f"{match['scheme']}{match['user'] or ''}{match['rest']}"
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            f"{key}: is no database URL: give postgresql://user:password@host/database "
            "or sqlite:///file"
        ) from None
    if url.drivername in ("postgresql+psycopg", "sqlite"):
        if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
            raise ConfigurationError(
                f"{key}: SQLite in memory is another database for each thread: name a file"
            )
        if url.drivername != "sqlite":
            _check_parameters(url)
        return url.update_query_pairs([("host", host) for host in hosts], append=True)
    raise ConfigurationError(
        f"{key}: {url.drivername!r} is not supported: give postgresql:// or sqlite:///"
    )


def make_engine(settings: SQLSettings) -> sa.Engine:
    """Return an engine in AUTOCOMMIT mode for `settings`; it connects when first used.

    Raises `ConfigurationError`.
    """
    url = database_url(str(settings.engine["url"]))
    options = {k: v for k, v in settings.engine.items() if k != "url"}
    for name in _BOOLEAN_OPTIONS:  # engine_from_config leaves these as (truthy) strings
        if name in options:
            value = BOOLEANS.get(str(options[name]).lower())
            if value is None:
                raise ConfigurationError(f"{_PREFIX}{name} = {options[name]!r}: give true or false")
            options[name] = value
    for name in _SET_BY_THE_STORE & options.keys():
        raise ConfigurationError(
            f"{_PREFIX}{name}: the store sets it itself: remove it, and give what the driver "
            "is to know as a parameter of the URL"
        )
    options.setdefault("pool_timeout", settings.timeout)
    # nothing to roll back: the store ends its transactions, or throws the connection away
    options.setdefault("pool_reset_on_return", None)
    try:
        engine = sa.engine_from_config(
            # AUTOCOMMIT: most of the work is one statement, which needs no BEGIN and no COMMIT
            {
                **options,
                "url": url.difference_update_query(["prepare_threshold"]),
                "isolation_level": "AUTOCOMMIT",
            },
            prefix="",
            poolclass=StorePool,
            **_dialect_options(url, settings.timeout),
        )
    except (TypeError, ValueError, sa.exc.ArgumentError) as exc:
        line = " ".join(str(exc).split(", using configuration")[0].split())
        named = [k for k, v in options.items() if f"'{k}'" in line or repr(v) in line]
        raise ConfigurationError(
            f"{_PREFIX}{named[0] if named else '*'}: {line}: remove it, or give what "
            "SQLAlchemy's engine_from_config takes"
        ) from None
    if url.drivername == "sqlite":
        sa.event.listen(engine, "connect", preparer(settings.timeout))
    else:
        sa.event.listen(engine, "do_connect", connector(settings.timeout))
    return engine


def _dialect_options(url: URL, timeout: int) -> Mapping[str, Any]:
    if url.drivername == "sqlite":
        # the names that the statements give to their parameters
        return {"connect_args": {"timeout": timeout}, "paramstyle": "named"}
    connect_args: dict[str, Any] = {}
    # psycopg's own parameter, which is no text
    if (threshold := url.query.get("prepare_threshold")) is not None:
        if str(threshold).lower() != "none":
            raise ConfigurationError(
                f"{_PREFIX}url: prepare_threshold = {threshold!r}: give none, which prepares no "
                "statements, or remove it"
            )
        connect_args["prepare_threshold"] = None
    if "client_encoding" not in url.query:
        connect_args["client_encoding"] = "UTF8"
    if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
        connect_args["connect_timeout"] = timeout
    if "application_name" not in url.query:
        connect_args["fallback_application_name"] = "sessionsite"
    return {"connect_args": connect_args}


def _check_parameters(url: URL) -> None:
    """Refuse a parameter that libpq does not know: it would fail with every connection."""
    for name in url.query.keys() - {"prepare_threshold"}:
        try:
            make_conninfo("", **{name: "1"})
        except psycopg.ProgrammingError as exc:
            raise ConfigurationError(
                f"{_PREFIX}url: {' '.join(str(exc).split())}: remove it"
            ) from None
