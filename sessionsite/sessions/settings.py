"""The keys of the session factories: .ini strings in, frozen and typed values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .configuration import BOOLEANS, ConfigurationError, SettingsReader

PREFIX: Final = "session."
SQL_PREFIXES: Final = ("session.sql.", "session.sqlalchemy.")
SERVER_ONLY: Final = frozenset(
    {
        "lifetime",
        "prune_interval",
        "renewal_grace",
        "renewal_time",
        "sql.create_table",
        "sql.schema",
        "sql.table",
        "sql.timeout",
    }
)
COOKIE_KEYS: Final = frozenset(
    {
        "cookie_name",
        "domain",
        "httponly",
        "max_age",
        "path",
        "reissue_time",
        "samesite",
        "secret",
        "secure",
        "set_on_exception",
        "timeout",
    }
)
DEVELOPMENT_SECRET: Final = "development-secret-that-everybody-can-read"  # noqa: S105  # it is no secret
# What anybody can read in this project or in the Express tutorial signs nothing in production.
PUBLISHED_SECRETS: Final = frozenset({DEVELOPMENT_SECRET, "a5d63fc5-17a5-459c-b3ba-6d81792158fc"})
MIN_SECRET_LENGTH: Final = 32
# Pyramid allows a cookie value of 4,064 bytes: with a name of at most 32, the pair stays within
# the 4,096 that browsers keep (ASVS 3.3.5).
MAX_COOKIE_NAME: Final = 32
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265 cookie-name


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieSettings:
    """What both factories share: the cookie, its signature, the idle time-out."""

    secrets: tuple[str, ...]
    cookie_name: str = "sessionsite"
    max_age: int | None = None
    path: str = "/"
    domain: str | None = None
    secure: bool | Literal["auto"] = False
    httponly: bool = True
    samesite: str = "Lax"
    timeout: int | None = 1200
    reissue_time: int = 120
    set_on_exception: bool = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.cookie_name}>"  # the secrets show nowhere


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerSettings(CookieSettings):
    """What the server factory knows beside that."""

    lifetime: int | None = 43200
    renewal_time: int | None = None
    renewal_grace: int = 60
    prune_interval: int | None = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLSettings:
    """Where the server factory's table is."""

    table: str
    schema: str | None
    create_table: bool
    timeout: int
    engine: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<SQLSettings of {self.table}>"  # the URL may hold a password


def _cookie_values(read: SettingsReader, *, auto: bool) -> dict[str, Any]:
    secrets = read.words("secret")
    if not secrets:
        read.refuse("secret", "is required: set one, as `sessionsite generate-secret` prints it")
    timeout = read.limit("timeout", 1200, minimum=1, unit="seconds")
    reissue_default = 120 if timeout is None else min(120, timeout // 10)
    values: dict[str, Any] = {
        "secrets": secrets,
        "cookie_name": read.text("cookie_name", "sessionsite"),
        "max_age": read.limit("max_age", None, minimum=1, unit="seconds"),
        "path": read.text("path", "/"),
        "domain": read.optional_text("domain"),
        "secure": _secure(read, auto),
        "httponly": read.boolean("httponly", True),
        "samesite": read.choice(
            "samesite", "Lax", {"lax": "Lax", "strict": "Strict", "none": "None"}
        ),
        "timeout": timeout,
        "reissue_time": read.integer("reissue_time", reissue_default, minimum=0, unit="seconds"),
        "set_on_exception": read.boolean("set_on_exception", True),
    }
    _check_cookie(read, values)
    return values


def _secure(read: SettingsReader, auto: bool) -> bool | Literal["auto"]:
    choices: dict[str, bool | Literal["auto"]] = dict(BOOLEANS)
    if auto:
        choices["auto"] = "auto"
    try:
        return read.choice("secure", False, choices)
    except ConfigurationError:
        read.refuse("secure", "give true or false" + (", or auto" if auto else ""))


def _check_cookie(read: SettingsReader, values: Mapping[str, Any]) -> None:
    """Refuse what browsers would drop, or what contradicts itself (RFC 6265bis, 4.1.3)."""
    name, secure = values["cookie_name"], values["secure"]
    if not _TOKEN.fullmatch(name) or len(name) > MAX_COOKIE_NAME:
        read.refuse(
            "cookie_name", f"give at most {MAX_COOKIE_NAME} letters, digits, - or _ (RFC 6265)"
        )
    if not re.fullmatch(r"/[\x21-\x3a\x3c-\x7e]*", values["path"]):
        read.refuse("path", "give a path that starts with / and has no space and no ;")
    if values["domain"] and not re.fullmatch(r"\.?[A-Za-z0-9.-]+", values["domain"]):
        read.refuse("domain", "give a host name, or leave it out")
    if values["samesite"] == "None" and secure is not True:
        read.refuse("samesite", "browsers refuse it without session.secure = true: set that")
    if name.lower().startswith(("__host-", "__secure-")) and secure is not True:
        read.refuse("cookie_name", "the prefix asks for session.secure = true: set that")
    if name.lower().startswith("__host-") and (values["path"] != "/" or values["domain"]):
        read.refuse("cookie_name", "__Host- asks for session.path = / and no session.domain")
    timeout = values["timeout"]
    if timeout is not None and values["reissue_time"] >= timeout:
        read.refuse("reissue_time", f"give fewer seconds than session.timeout has ({timeout})")


def cookie_settings(settings: Mapping[str, Any]) -> CookieSettings:
    """Read the cookie factory's settings. Raises `ConfigurationError`."""
    read = SettingsReader(settings, PREFIX)
    values = _cookie_values(read, auto=False)
    why = "is the server factory's, the data of a cookie session is in the cookie: remove it"
    engine_keys = {f"sqlalchemy.{k}" for k in read.section("sqlalchemy.")}
    if engine_keys:
        read.refuse(min(engine_keys), why, show=False)
    read.finish(dict.fromkeys(SERVER_ONLY, why))
    return CookieSettings(**values)


def server_settings(settings: Mapping[str, Any]) -> tuple[ServerSettings, SQLSettings]:
    """Read the server factory's settings. Raises `ConfigurationError`."""
    read = SettingsReader(settings, PREFIX)
    values = _cookie_values(read, auto=True)
    values |= {
        "lifetime": read.limit("lifetime", 43200, minimum=1, unit="seconds"),
        "renewal_time": read.limit("renewal_time", None, minimum=1, unit="seconds"),
        "renewal_grace": read.integer("renewal_grace", 60, minimum=1, unit="seconds"),
        "prune_interval": read.limit("prune_interval", 900, minimum=1, unit="seconds"),
    }
    server = ServerSettings(**values)
    for secret in server.secrets:
        if len(secret) < MIN_SECRET_LENGTH or secret in PUBLISHED_SECRETS:
            read.refuse(
                "secret",
                f"every secret needs {MIN_SECRET_LENGTH} characters or more that are printed "
                "nowhere: set one, as `sessionsite generate-secret` prints it",
                show=False,
            )
    _check_max_age(read, server)
    sql = _sql_values(read)
    read.finish()
    return server, sql


def _check_max_age(read: SettingsReader, server: ServerSettings) -> None:
    if server.max_age is None:
        return
    why = "the cookie is sent once, so it must live as long as the session"
    if server.lifetime is None:
        read.refuse("max_age", f"{why}, and session.lifetime is none: give none here as well")
    if server.max_age < server.lifetime:
        read.refuse(
            "max_age", f"{why}: give none, or at least session.lifetime ({server.lifetime})"
        )


def sql_settings(settings: Mapping[str, Any]) -> SQLSettings:
    """Read only what says where the table is: enough for commands that make no cookie.

    Raises `ConfigurationError`.
    """
    read = SettingsReader({k: v for k, v in settings.items() if k.startswith(SQL_PREFIXES)}, PREFIX)
    sql = _sql_values(read)
    read.finish()
    return sql


def _sql_values(read: SettingsReader) -> SQLSettings:
    engine = read.section("sqlalchemy.")
    if not engine.get("url"):
        read.refuse("sqlalchemy.url", "is required: postgresql://user@host/database, for example")
    return SQLSettings(
        table=read.text("sql.table", "sessions"),
        schema=read.optional_text("sql.schema"),
        create_table=read.boolean("sql.create_table", False),
        timeout=read.integer("sql.timeout", 5, minimum=1, unit="seconds"),
        engine=engine,
    )
