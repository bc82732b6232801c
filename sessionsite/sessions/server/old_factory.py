"""Finds the factory that `session.migrate_from` names, and refuses one that runs code."""

from collections.abc import Mapping
from typing import Any

from ..ini import ConfigurationError, resolve
from ..settings import ServerSettings
from ..sql_settings import PREFIX
from .old_sessions import OldFactory

_OLD = f"{PREFIX}old."
_JSON = "json"
_BEAKERS = frozenset(
    {"_accessed_time", "_creation_time", "_domain", "_expires", "_httponly", "_id", "_path",
     "_secure"}
)  # fmt: skip


def old_factory(settings: Mapping[str, Any], server: ServerSettings) -> OldFactory | None:
    """Return the factory whose sessions are carried over; None where there is none.

    Raises `ConfigurationError`.
    """
    name = server.migrate_from
    if name is None:
        return None
    key = f"{PREFIX}migrate_from"
    theirs = {k.removeprefix(_OLD): v for k, v in settings.items() if k.startswith(_OLD)}
    if name.startswith("sessionsite."):
        for each in theirs:
            if not each.startswith(PREFIX):
                raise ConfigurationError(f"{_OLD}{each}: begin it with {_OLD}{PREFIX}")
    unpickles = _unpickles(name, theirs)
    if unpickles and "pickle" not in server.allow_insecure:
        raise ConfigurationError(
            f"{key} = {name!r}: it unpickles what it reads, and whoever can write that runs code "
            "here: have it read JSON, or set session.allow_insecure = pickle"
        )
    try:
        made = resolve(key, name)(theirs)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{key}: {exc}") from None
    except (TypeError, ValueError, KeyError) as exc:
        raise ConfigurationError(
            f"{key} = {name!r}: {type(exc).__name__}: give it its settings under {_OLD}"
        ) from exc
    cookie_name = server.migrate_cookie or _cookie_name(name, made, theirs)
    if cookie_name is None:
        raise ConfigurationError(
            f"{PREFIX}migrate_cookie: is required, since {name} does not say its cookie's name"
        )
    hook = server.migrate_owner
    owner = resolve(f"{PREFIX}migrate_owner", hook) if hook else None
    internal = _BEAKERS if hasattr(made, "_options") else frozenset()
    return OldFactory(name, made, cookie_name, unpickles, owner, internal)


def _unpickles(name: str, theirs: Mapping[str, Any]) -> bool:
    """Return whether the factory unpickles, as the packages that are known do by themselves."""
    package = name.partition(".")[0]
    if package == "pyramid_session_redis":
        return True
    wanted = {"pyramid_beaker": "data_serializer", "pyramid_nacl_session": "serializer"}.get(
        package
    )
    return wanted is not None and not any(
        key.endswith(f"session.{wanted}") and value == _JSON for key, value in theirs.items()
    )


def _cookie_name(name: str, made: Any, theirs: Mapping[str, Any]) -> str | None:
    """Return what the factory calls its cookie; None where it does not say."""
    if name.startswith("pyramid_session_redis"):
        return str(theirs.get("redis.sessions.cookie_name", "session"))
    if (options := getattr(made, "_options", None)) is not None:  # Beaker's
        return str(options.get("key", "beaker.session.id"))
    ours = getattr(getattr(made, "settings", None), "cookie_name", None)
    found: str | None = ours or getattr(made, "_cookie_name", None)  # Pyramid's own
    return found
