"""The keys of the session factories, each written once: .ini strings in, typed values out."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .ini import (
    BOOLEAN,
    BOOLEANS,
    Kind,
    SettingsReader,
    choice,
    key,
    keys_of,
    optional_text,
    text,
    whole,
    whole_or_none,
    words,
)

PREFIX: Final = "session."
DEVELOPMENT_SECRET: Final = "development-secret-that-everybody-can-read"  # noqa: S105  # it is no secret
# What anyone can read in this project or in the Express tutorial signs nothing in production.
PUBLISHED_SECRETS: Final = frozenset({DEVELOPMENT_SECRET, "a5d63fc5-17a5-459c-b3ba-6d81792158fc"})
MIN_SECRET_LENGTH: Final = 32
# Pyramid allows a cookie value of 4,064 bytes: with a name of at most 32, the pair stays within
# the 4,096 that browsers keep (ASVS 3.3.5).
MAX_COOKIE_NAME: Final = 32
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265 cookie-name
_SERVERS = "is the server factory's, the data of a cookie session is in the cookie: remove it"
_OTHER_STORE = "is the SQL store's, and this store is another: remove it"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CookieSettings:
    """What both factories share: the cookie, its signature, the idle time-out."""

    secrets: tuple[str, ...] = key(
        words("text"),
        "Signs the cookies. White space separates several, newest first: the first one signs, and "
        "each of them verifies. [How to rotate it](#rotating-the-secret). The server factory "
        "refuses a secret of fewer than 32 characters, and one that is printed in this project or "
        "in the Express tutorial.",
        name="secret",
    )
    cookie_name: str = key(
        text(),
        "At most 32 characters, so that name and value stay within the 4,096 bytes that browsers "
        "keep. Apps on one host name need different names, since cookies know no ports. "
        "`production.ini`: `__Host-sessionsite`.",
        default="sessionsite",
    )
    max_age: int | None = key(
        whole_or_none("seconds"),
        "How long browsers keep the cookie; `none`: until the browser is closed. On the server, "
        "`session.timeout` and `session.lifetime` end the session. With the server factory the "
        "value is at least `session.lifetime`. `production.ini`: `43200`.",
        default=None,
    )
    path: str = key(text("path"), "The path that the cookie is for.", default="/")
    domain: str | None = key(
        optional_text("host name"),
        "Unset: the cookie goes to the host that set it, and to no other. Set: the cookie also "
        "goes to all subdomains of the domain.",
        default=None,
    )
    secure: bool | Literal["auto"] = key(
        BOOLEAN,
        "Whether the cookie is sent over https alone. With the server factory also `auto`: as "
        "`true` for a request that came over https, else as `false`. `production.ini`: `true`.",
        default=False,
    )
    httponly: bool = key(BOOLEAN, "Whether the cookie is hidden from scripts.", default=True)
    samesite: str = key(
        choice({"lax": "Lax", "strict": "Strict", "none": "None"}, "`Lax`, `Strict`, `None`"),
        "Whether requests that other sites cause carry the cookie. `None` is a value of the "
        "attribute, not its absence, and needs `session.secure = true`.",
        default="Lax",
    )
    timeout: int | None = key(
        whole_or_none("seconds"),
        "Idle time-out: how long after its last visit the session ends.",
        default=1200,
    )
    reissue_time: int = key(
        whole("seconds", minimum=0),
        "The shortest time between two extensions of the expiry. `0`: every request that uses the "
        "session extends it. Must be less than `session.timeout`.",
        default=120,
        documented="`120`, or a tenth of `session.timeout` if that is less",
    )
    set_on_exception: bool = key(
        BOOLEAN,
        "Whether changes are kept if the request ends in an exception, even in one that an "
        "exception view answers.",
        default=True,
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.cookie_name}>"  # the secrets show nowhere


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerSettings(CookieSettings):
    """What the server factory knows beside that."""

    secure: bool | Literal["auto"] = key(
        Kind(
            lambda value: {**BOOLEANS, "auto": "auto"}[str(value).lower()],
            "give true or false, or auto",
            "boolean",
        ),
        "",
        default=False,
    )
    lifetime: int | None = key(
        whole_or_none("seconds"),
        "Absolute time-out: how long after its creation the session ends, however busy it is.",
        default=43200,
    )
    renewal_time: int | None = key(
        whole_or_none("seconds"),
        "How old a token may become before the next request replaces it: [rotation by "
        "time](#rotation-by-time).",
        default=None,
    )
    renewal_grace: int = key(
        whole("seconds"),
        "How long after a rotation by time the old token still opens the session.",
        default=60,
    )
    prune_interval: int | None = key(
        whole_or_none("seconds"),
        "The average pause between two prunings inside the server; each pause is 50 to 150 % of "
        "that, at random. One process prunes at a time, in batches of 1,000 rows. `none` leaves "
        "pruning to `sessionsite prune CONFIG_URI`. An expired row opens nothing, pruned or not.",
        default=900,
    )
    store: str | None = key(
        optional_text("dotted name"),
        "[A store of your own](writing-a-store.md): a callable that takes the settings and "
        "returns a `SessionStore`. The keys below `session.store.` are for the callable. Unset: "
        "the SQL store.",
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SQLSettings:
    """Where the SQL store's table is."""

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
        "How long a request waits for each of these: a new connection, a free connection of the "
        "pool, a statement. When the time is up, the answer is the 503 page.",
        default=5,
        name="sql.timeout",
    )
    engine: Mapping[str, Any]
    """What is under `session.sqlalchemy.`, for SQLAlchemy."""

    def __repr__(self) -> str:
        return f"<SQLSettings of {self.table}>"  # the URL may hold a password


SQL_KEYS: Final = frozenset(keys_of(SQLSettings))
SERVER_ONLY: Final = frozenset(keys_of(ServerSettings)) - frozenset(keys_of(CookieSettings))


def _cookie_values(read: SettingsReader, settings: type) -> dict[str, Any]:
    if not read.has("secret"):
        read.refuse("secret", "is required: set one, as `sessionsite generate-secret` prints it")
    values = read.keys(settings)
    timeout = values["timeout"]
    if timeout is not None and not read.has("reissue_time"):
        values["reissue_time"] = min(120, timeout // 10)
    elif timeout is not None and values["reissue_time"] >= timeout:
        read.refuse("reissue_time", f"give fewer seconds than session.timeout has ({timeout})")
    _check_cookie(read, values)
    return values


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


def cookie_settings(settings: Mapping[str, Any]) -> CookieSettings:
    """Read the cookie factory's settings. Raises `ConfigurationError`."""
    read = SettingsReader(settings, PREFIX)
    values = _cookie_values(read, CookieSettings)
    server_only = sorted(SERVER_ONLY | SQL_KEYS)
    read.finish(dict.fromkeys([*server_only, "sqlalchemy.", "store."], _SERVERS))
    return CookieSettings(**values)


def server_settings(settings: Mapping[str, Any], own: Collection[str] = ()) -> ServerSettings:
    """Read the server factory's settings; those of its store are the store's to check.

    `own` has the prefixes below `session.` that belong to a factory written around this one:
    `("valkey.",)`. Raises `ConfigurationError`.
    """
    read = SettingsReader(settings, PREFIX)
    server = ServerSettings(**_cookie_values(read, ServerSettings))
    for secret in server.secrets:
        if len(secret) < MIN_SECRET_LENGTH or secret in PUBLISHED_SECRETS:
            read.refuse(
                "secret",
                f"every secret needs {MIN_SECRET_LENGTH} characters or more that are printed "
                "nowhere: set one, as `sessionsite generate-secret` prints it",
                show=False,
            )
    _check_max_age(read, server)
    for prefix in own or (["store."] if server.store else ["sql.", "sqlalchemy."]):
        read.section(prefix)
    other_store = dict.fromkeys(["sql.", "sqlalchemy."], _OTHER_STORE)
    no_store = {"store.": "belongs to a store of your own: name it in session.store"}
    read.finish(other_store if server.store or own else no_store, known=SQL_KEYS)
    return server


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
    """Read what says where the table is; no other key is looked at, a secret least of all.

    Raises `ConfigurationError`.
    """
    prefixes = tuple(f"{PREFIX}{section}" for section in ("sql.", "sqlalchemy."))
    read = SettingsReader({k: v for k, v in settings.items() if k.startswith(prefixes)}, PREFIX)
    engine = read.section("sqlalchemy.")
    if not engine.get("url"):
        read.refuse("sqlalchemy.url", "is required: postgresql://user@host/database, for example")
    sql = SQLSettings(**read.keys(SQLSettings), engine=engine)
    read.finish()
    return sql
