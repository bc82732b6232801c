"""Session data to JSON text and back, by `json.dumps`'s rules without those that lose a meaning.

NaN and infinity are refused, and so are keys that are no text. What is more than its JSON, such as
a translation that waits for its language, is stored as `stored_as` says.
"""

import json
import math
from collections.abc import Mapping
from enum import Enum
from functools import singledispatch
from types import NoneType
from typing import Any, NoReturn

from pyramid.i18n import TranslationString
from pyramid.threadlocal import get_current_request

FLASH_PREFIX = "_f_"
CSRF_KEY = "_csrft_"
EMPTY = "{}"

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_TEXT = frozenset({str})
_LEAVES = frozenset({str, int, float, bool, NoneType})
_PLAIN = _LEAVES | {dict, list, tuple}
_DEEPEST = 200


class PayloadError(ValueError):
    """The session holds something that JSON can't, or too much; the message names the key."""


@singledispatch
def stored_as(value: Any) -> Any:
    """Return what is stored in place of `value`, whose type JSON does not know.

    An app registers a function for each type of its own: `stored_as.register(LazyString, str)`.
    The function gets the value, and returns JSON. A `TranslationString` is stored as its text, in
    the language of the current request. Raises TypeError for a type that is not registered.
    """
    raise TypeError(f"a value of type {type(value).__name__}")


@stored_as.register(TranslationString)
def _translated(value: Any) -> str:
    request = get_current_request()
    text = value.interpolate() if request is None else request.localizer.translate(value)
    return str(text)


def dumps(data: Mapping[str, Any], stored: str = "", *, coerce_keys: bool = False) -> str:
    """Return `data` as JSON text, in ASCII: any str survives, a lone surrogate or NUL included.

    `stored` is the text that is stored already: data that gives it again is not looked at any
    closer. With `coerce_keys` JSON may make a text of a key that is none. Raises `PayloadError`,
    which names the path to what can't be stored.
    """
    try:
        text = _encode(data)
        if text == stored or _is_plain(data):
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    return _encode(_plain(data, "session", (), coerce_keys))


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:40]} is no finite number")
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no finite number")


_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse).decode


def loads(text: str) -> dict[str, Any]:
    """Return the session data that `text` holds.

    Raises ValueError for all but a JSON object of finite numbers whose flash queues are lists and
    whose CSRF token is printable ASCII: what is wrong would fail in a method later.
    """
    try:
        data = _decode(text)
    except (TypeError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc
    if not isinstance(data, dict):
        raise ValueError("JSON, but no object")
    for key, value in data.items():
        if key == CSRF_KEY and not (
            isinstance(value, str) and value.isascii() and value.isprintable()
        ):
            raise ValueError("a CSRF token that no form can hold")
        if key.startswith(FLASH_PREFIX) and not isinstance(value, list):
            raise ValueError("a flash queue that is no list")
    return data


def check_size(data: Mapping[str, Any], size: int, limit: int, where: str) -> None:
    """Raise `PayloadError`, which names the largest key, if `size` is over `limit`."""
    if size > limit:
        largest = max(
            data, key=lambda key: len(dumps({key: data[key]}, coerce_keys=True)), default=""
        )
        raise PayloadError(
            f"the session takes {size} bytes, and {where} holds {limit}: "
            f"session[{largest!r}] is its largest part"
        )


def _is_plain(value: Any) -> bool:
    """Return whether JSON gives a dict, list or tuple back as it is: tuples aside, as lists.

    Each page that changes its session asks this: it takes a third of what the encoding takes.
    """
    if isinstance(value, dict):
        if not _TEXT.issuperset(map(type, value)):
            return False
        value = value.values()
    if _LEAVES.issuperset(map(type, value)):
        return True
    for child in value:
        kind = type(child)
        if kind not in _LEAVES and (kind not in _PLAIN or not _is_plain(child)):
            return False
    return True


def _plain(value: Any, path: str, above: tuple[int, ...], coerce_keys: bool) -> Any:
    """Return `value` as JSON gives it back. Raises `PayloadError`, which names its path."""
    if id(value) in above:
        raise _error(path, "it contains itself")
    if len(above) > _DEEPEST:
        raise _error(path, "it is nested too deeply")
    above = (*above, id(value))
    if isinstance(value, dict):
        return {
            _plain_key(key, path, coerce_keys): _plain(
                child, f"{path}[{_shown(key)}]", above, coerce_keys
            )
            for key, child in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _plain(child, f"{path}[{index}]", above, coerce_keys)
            for index, child in enumerate(value)
        ]
    if type(value) in _LEAVES:
        return _checked(value, path)
    if stored_as.dispatch(type(value)) is not stored_as.dispatch(object):
        return _plain(stored_as(value), path, above, coerce_keys)
    if hasattr(value, "__html__"):
        kind = type(value).__name__
        raise _error(path, f"a value of type {kind} would come back as text to escape; use str")
    return _plain_text(value) if isinstance(value, str) else _checked(value, path)


def _plain_text(value: str) -> str:
    """Return the text of a subclass of str: an enumeration's value, or what str() says."""
    return str.__str__(value if isinstance(value, Enum) else str(value))


def _plain_key(key: Any, path: str, coerce_keys: bool) -> str:
    if isinstance(key, str):
        return _plain_text(key)
    problem = f"a key of type {type(key).__name__}; use str"
    if coerce_keys:
        try:
            (text,) = _decode(_encode({key: None}))
            return str(text)
        except (TypeError, ValueError) as exc:
            problem = str(exc)
    raise PayloadError(f"{path}: {problem}: {path}[{_shown(key)}] can't be stored as JSON")


def _checked(value: Any, path: str) -> Any:
    """Return a value that JSON takes alone."""
    try:
        _encode(value)
    except TypeError:
        problem = f"a value of type {type(value).__name__}"
    except ValueError as exc:
        problem = f"the number {value}" if isinstance(value, float) else str(exc)
    else:
        return value
    raise _error(path, problem)


def _error(path: str, problem: str) -> PayloadError:
    return PayloadError(f"{path} can't be stored as JSON: {problem}")


def _shown(key: Any) -> str:
    try:
        return repr(key)
    except ValueError:  # a number of more digits than Python writes
        return f"a key of type {type(key).__name__}"
