"""The keys of the session factories, each written once: .ini strings in, typed values out.

Those of the SQL store are in `sql_settings.py`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .checks import (
    INSECURE,
    check_cookie,
    check_reissue_time,
    check_secrets,
    check_times,
    refuse_insecure,
)
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
from .sql_settings import PREFIX, SQL_KEYS, SQL_SECTIONS

_MONTH = 30 * 86400
_SERVERS = "is the server factory's, the data of a cookie session is in the cookie: remove it"
_NO_VALKEY = "is for sessionsite.sessions.valkey.session_factory_from_settings: name that one"
_OTHER_STORE = "is the SQL store's, and this store is another: remove it"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CookieSettings:
    """The keys of both factories, as typed values: the cookie, its signature, the idle time-out.

    A field has the name of its key below `session.`; `secrets` is `session.secret`. Times are whole
    seconds, None for no limit. docs/configuration.md has every key.
    """

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
        "`production.ini`: `__Host-sessionsite`, since browsers let no other host set that name: "
        "[under any other](#a-name-that-others-can-set) a neighbour can give visitors its own "
        "session.",
        default="sessionsite",
    )
    max_age: int | None = key(
        whole_or_none("seconds"),
        "How long browsers keep the cookie; `none`: until the browser is closed. On the server, "
        "`session.timeout` and `session.lifetime` end the session. With the server factory the "
        "value is at least `session.lifetime`. `production.ini`: `43200`.",
        default=None,
    )
    path: str = key(
        text("path"),
        "The path that the cookie is for. It has to cover all pages that use a session; one that "
        "it leaves out is logged once as a warning.",
        default="/",
    )
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
    partitioned: bool = key(
        BOOLEAN,
        "Have browsers keep one cookie per site that embeds this one (CHIPS). Needs "
        "`session.secure = true` and `session.samesite = None`.",
        default=False,
    )
    coerce_keys: bool = key(
        BOOLEAN,
        "Whether JSON may make a text of a dictionary's key that is none: 7 comes back as `'7'`. "
        "Otherwise such a key is an error that names its path.",
        default=False,
    )
    allow_insecure: tuple[str, ...] = key(
        words("names"),
        "[Refusals at start](#what-is-refused-at-start) that are to be warnings: `httponly`, "
        "`endless`, `weak-secret`, `renewal-grace`, `pickle`.",
        default=(),
    )
    cache_control: str = key(
        choice(
            {"no-store": "no-store", "keep": "keep", "private": "private"},
            "`no-store`, `keep`, `private`",
        ),
        "What responses that used the session tell caches where the view has not said that they "
        "are private, and for how long: [what caches are told](#what-caches-are-told).",
        default="no-store",
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
    """The keys of the server factory, beside those of `CookieSettings`; its store's are its own."""

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
    new_timeout: int | None = key(
        whole("seconds"),
        "Idle time-out of a session whose cookie has never come back: that of a visitor who keeps "
        "no cookies, most of all of a bot. A form that is sent within this time works.",
        default=None,
        documented="as `session.timeout`",
    )
    max_bytes: int = key(
        whole("bytes", minimum=100),
        "How large the JSON text of a session may be. A change that makes it larger is an error "
        "that names the largest key.",
        default=65536,
    )
    max_lifetime: int | None = key(
        whole_or_none("seconds"),
        "The most that a session may set as [a lifetime of its own](owners.md#remember-me).",
        default=None,
        documented="30 days, or `session.lifetime` if that is longer",
    )
    max_per_owner: int | None = key(
        whole_or_none("sessions"),
        "How many sessions one owner may have; [what happens beyond "
        "that](owners.md#a-limit-per-owner).",
        default=None,
    )
    on_limit: str = key(
        choice({"end_oldest": "end_oldest", "refuse": "refuse"}, "`end_oldest`, `refuse`"),
        "What a login beyond `session.max_per_owner` does: end the session that was unused for "
        "longest, or raise a `SessionLimitError`.",
        default="end_oldest",
    )
    on_reuse: str = key(
        choice({"ignore": "ignore", "end": "end"}, "`ignore`, `end`"),
        "[A token that comes back](#a-token-that-comes-back) after it was replaced opens nothing, "
        "and is logged as a warning. `end` also ends the session, for owner and thief alike. "
        "`production.ini`: `end`.",
        default="ignore",
    )
    prune_interval: int | None = key(
        whole_or_none("seconds"),
        "The average pause between two prunings inside the server; each pause is 50 to 150 % of "
        "that, at random. One process prunes at a time, in batches of 100 rows. `none` leaves "
        "pruning to `sessionsite prune CONFIG_URI`. An expired row opens nothing, pruned or not.",
        default=900,
    )
    migrate_from: str | None = key(
        optional_text("dotted name"),
        "Another session factory whose visitors are [carried "
        "over](migrating.md), a callable that takes settings: `session.old.X` is handed to it "
        "as `X`.",
        default=None,
    )
    migrate_cookie: str | None = key(
        optional_text("name"),
        "The name of that factory's cookie.",
        default=None,
        documented="what the factory itself says",
    )
    migrate_owner: str | None = key(
        optional_text("dotted name"),
        "A callable that takes the request and an old session's data, and returns whose session "
        "it is, or None.",
        default=None,
    )
    store: str | None = key(
        optional_text("dotted name"),
        "[A store of your own](writing-a-store.md): a callable that takes the settings and "
        "returns a `SessionStore`. The keys below `session.store.` are for the callable. Unset: "
        "the SQL store.",
        default=None,
    )


SERVER_ONLY: Final = frozenset(keys_of(ServerSettings)) - frozenset(keys_of(CookieSettings))


def _cookie_values(read: SettingsReader, settings: type) -> dict[str, Any]:
    if not read.has("secret"):
        read.refuse("secret", "is required: set one, as `sessionsite generate-secret` prints it")
    values = read.keys(settings)
    timeout = values["timeout"]
    if timeout is not None and not read.has("reissue_time"):
        values["reissue_time"] = min(120, timeout // 10)
    check_reissue_time(read, values)
    check_cookie(read, values)
    check_secrets(read, values["secrets"])
    for name in values["allow_insecure"]:
        if name not in INSECURE:
            read.refuse("allow_insecure", f"{name!r} is none of {', '.join(INSECURE)}")
    return values


def cookie_settings(settings: Mapping[str, Any]) -> CookieSettings:
    """Read the cookie factory's settings. Raises `ConfigurationError`."""
    read = SettingsReader(settings, PREFIX)
    values = _cookie_values(read, CookieSettings)
    server_only = sorted(SERVER_ONLY | SQL_KEYS)
    read.finish(dict.fromkeys([*server_only, "sqlalchemy.", "store.", "valkey.", "old."], _SERVERS))
    return CookieSettings(**values)


def server_settings(settings: Mapping[str, Any], own: Collection[str] = ()) -> ServerSettings:
    """Read the server factory's settings; those of its store are the store's to check.

    `own` has the prefixes below `session.` that belong to a factory written around this one:
    `("valkey.",)`. Raises `ConfigurationError`.
    """
    read = SettingsReader(settings, PREFIX)
    values = _cookie_values(read, ServerSettings)
    refuse_insecure(read, values)
    if not read.has("max_lifetime"):
        lifetime = values["lifetime"]
        values["max_lifetime"] = None if lifetime is None else max(lifetime, _MONTH)
    check_times(read, values)
    server = ServerSettings(**values)
    if server.migrate_from:
        read.section("old.")
    for prefix in own or (["store."] if server.store else SQL_SECTIONS):
        read.section(prefix)
    other_store = dict.fromkeys(SQL_SECTIONS, _OTHER_STORE)
    no_store = {"store.": "belongs to a store of your own: name it in session.store"}
    elsewhere = {"valkey.": _NO_VALKEY, **(other_store if server.store or own else no_store)}
    elsewhere["old."] = "is for session.migrate_from: name the factory there"
    read.finish(elsewhere, known=SQL_KEYS)
    return server
