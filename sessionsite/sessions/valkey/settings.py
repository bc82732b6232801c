"""The keys of the store on Valkey or Redis, each written once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

from redis import ConnectionPool, RedisError

from ..ini import BOOLEANS, Kind, SettingsReader, key, text, whole, words

PREFIX: Final = "session."
SECTION: Final = "valkey."
_URL: Final = "give valkey://user:password@host:port/number"
_SCHEMES: Final = {"valkey": "redis", "valkeys": "rediss", "redis": "redis", "rediss": "rediss"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValkeySettings:
    """The keys below `session.valkey.`, as typed values; times are whole seconds."""

    urls: tuple[str, ...] = key(
        Kind(words().parse, _URL, "URL"),
        "Where the server is: `valkey://user:password@host:6379/0`, or `valkeys://` for TLS; "
        "`redis://` and `rediss://` mean the same. `?ssl_ca_certs=PATH`, and redis-py's other "
        "options that begin with `ssl_` may follow. For a cluster one node is enough, and several, "
        "separated by white space, are found even if the first one is down.",
        name="valkey.url",
    )
    cluster: bool | Literal["auto"] = key(
        Kind(
            lambda value: {**BOOLEANS, "auto": "auto"}[str(value).lower()],
            "give true or false, or auto",
            "boolean, `auto`",
        ),
        "Whether the server is a node of a cluster; `auto` asks it.",
        default="auto",
        name="valkey.cluster",
    )
    prefix: str = key(
        text(),
        "What all keys begin with, so that several sites can share a server.",
        default="sessionsite:",
        name="valkey.prefix",
    )
    timeout: int = key(
        whole("seconds"),
        "How long a request waits for each of these: a new connection, an answer, another request "
        "that has the session or the owner. Before the time is up, the answer is the 503 page.",
        default=5,
        name="valkey.timeout",
    )
    max_connections: int = key(
        whole("connections"),
        "How many connections one process may have to one server. A request that finds none gets "
        "the 503 page, so give at least as many as the process has threads.",
        default=100,
        name="valkey.max_connections",
    )
    max_waiting: int = key(
        whole("requests"),
        "How many requests may wait for an answer, a session or an owner for longer than half a "
        "second while nothing moves. The answer to all others that would have to wait is the 503 "
        "page. Each holds a thread of the process: give half of these.",
        default=2,
        name="valkey.max_waiting",
    )
    wait_replicas: int = key(
        whole("replicas", minimum=0),
        "How many replicas must have a write before it is answered; a write that fewer have in "
        "time gets the 503 page, though it is kept by the master. "
        "[What that prevents](valkey.md#what-a-failover-loses).",
        default=0,
        name="valkey.wait_replicas",
    )

    def __repr__(self) -> str:
        return f"<ValkeySettings of {self.prefix}>"  # the URL may hold a password


def valkey_settings(settings: Mapping[str, Any]) -> ValkeySettings:
    """Read what is below `session.valkey.`; no other key is looked at, a secret least of all.

    Raises `ConfigurationError`.
    """
    mine = {k: v for k, v in settings.items() if k.startswith(f"{PREFIX}{SECTION}")}
    read = SettingsReader(mine, PREFIX)
    values = read.keys(ValkeySettings)
    read.finish()
    if not 0 < len(values["prefix"]) <= 64 or "{" in values["prefix"]:
        read.refuse("valkey.prefix", "give 1 to 64 characters, none of them a {")
    try:
        values["urls"] = tuple(_checked(url) for url in values["urls"])
    except ValueError:
        read.refuse("valkey.url", _URL, show=False)
    if len(values["urls"]) > 1 and values["cluster"] is False:
        read.refuse("valkey.cluster", "give true, since session.valkey.url names several nodes")
    several = len(values["urls"]) > 1 or values["cluster"] is True
    if several and any(urlsplit(url).path.strip("/0") for url in values["urls"]):
        read.refuse("valkey.url", "a cluster has no number but 0: leave it out", show=False)
    return ValkeySettings(**values)


def _checked(url: str) -> str:
    """Return `url` as the client knows it. Raises ValueError."""
    parts = urlsplit(url)
    number = parts.path.strip("/")
    options = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if (
        not parts.hostname
        or "," in parts.hostname  # several are separated by white space
        or (number and not number.isdecimal())
        or parts.scheme not in _SCHEMES
        or parts.port == 0  # and another that is no port raises
        or not all(name.startswith("ssl_") for name in options)
    ):
        raise ValueError
    known = parts._replace(scheme=_SCHEMES[parts.scheme]).geturl()
    pool = ConnectionPool.from_url(known)
    try:
        pool.make_connection()  # connects to nothing, and knows which `ssl_` options there are
    except (TypeError, RedisError) as exc:
        raise ValueError from exc
    return known
