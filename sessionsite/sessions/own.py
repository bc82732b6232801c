"""What a session has of its own beside its data: owner, label, time-outs. Checked here, once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MAX_OWNER = MAX_LABEL = 200  # characters
MAX_SECONDS = 10**9
LONGEST_AGE = 400 * 86400  # seconds; browsers keep no cookie for longer (RFC 6265bis, 5.5)


@dataclass(frozen=True, slots=True)
class Own:
    """The values that a session has set, and None for those that it has not.

    `timeout`, `lifetime`: seconds; 0 for no such end.
    """

    owner: str | None = None
    label: str | None = None
    timeout: int | None = None
    lifetime: int | None = None
    persistent: bool | None = None


RESERVED_OWNER = "sessionsite:carried over"
"""The owner of rows that are no sessions: `server/old_sessions.py`. No list and no end has them."""
NOTHING_OWN = Own()
NAMES = tuple(field.name for field in fields(Own))


class _Unset:
    def __repr__(self) -> str:
        return "as it is"


UNSET: Any = _Unset()
"""The default of a parameter whose absence changes nothing, since None is a value."""


def cookie_age(
    persistent: bool | None, lifetime: int | None, remains: float | None, max_age: int | None
) -> int | None:
    """Return the Max-Age of a session's cookie in seconds; None: until the browser closes.

    `persistent`, `lifetime`: what the session has set. `remains`: seconds until its absolute end;
    None if it has none. `max_age`: what a session has that sets nothing. One that has set a
    lifetime has what remains of it.
    """
    if persistent is None and lifetime is None:
        return max_age
    if not (max_age is not None if persistent is None else persistent):
        return None
    return LONGEST_AGE if remains is None else max(1, math.ceil(remains))


def checked_owner(owner: Any) -> str | None:
    """Return `owner`: a text of 1 to 200 characters, or None. Raises TypeError, ValueError."""
    if owner == "":
        raise ValueError("session.owner: an empty text is no owner; give None")
    if owner == RESERVED_OWNER:
        raise ValueError(f"session.owner: {owner!r} is kept for rows that are no sessions")
    return _checked_text("owner", owner, MAX_OWNER)


def checked_label(label: Any) -> str | None:
    """Return `label`: a text of at most 200 characters, or None. Raises TypeError, ValueError."""
    return _checked_text("label", label, MAX_LABEL)


def _checked_text(name: str, text: Any, limit: int) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"session.{name}: a value of type {type(text).__name__}; use str")
    if len(text) > limit:
        raise ValueError(f"session.{name}: {len(text)} characters; give at most {limit}")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"session.{name}: a character that no database keeps (NUL, a surrogate)")
    return str(text)


def checked_seconds(name: str, seconds: Any, limit: int | None = None) -> int:
    """Return what is kept of a time: its whole seconds, 0 for None, which is "no end".

    Raises TypeError, ValueError.
    """
    if seconds is None:
        return 0
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError(f"set_lifetime: {name} is of type {type(seconds).__name__}; use int")
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(f"set_lifetime: {name} = {seconds}: give a positive number of seconds")
    if limit is not None and seconds > limit:
        raise ValueError(
            f"set_lifetime: {name} = {seconds}: session.max_lifetime allows {limit} at most"
        )
    return seconds


def checked_lifetime(
    timeout: Any, lifetime: Any, persistent: Any, max_lifetime: int | None
) -> dict[str, Any]:
    """Return those of the three that are set, as they are kept. Raises TypeError, ValueError."""
    kept: dict[str, Any] = {}
    if timeout is not UNSET:
        kept["timeout"] = checked_seconds("timeout", timeout)
    if lifetime is not UNSET:
        kept["lifetime"] = checked_seconds("lifetime", lifetime, max_lifetime)
    if persistent is not UNSET:
        if not isinstance(persistent, bool):
            raise TypeError("set_lifetime: persistent: give True or False")
        kept["persistent"] = persistent
    return kept


def stored_own(values: Mapping[str, Any]) -> Own:
    """Return what was stored as `Own`; any value may have been. Raises TypeError, ValueError."""
    own = Own(**values)
    checked_owner(own.owner)
    checked_label(own.label)
    checked_seconds("timeout", own.timeout or None)
    checked_seconds("lifetime", own.lifetime or None)
    if not isinstance(own.persistent, bool | None):
        raise TypeError("persistent is of another type")
    return own
