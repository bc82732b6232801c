"""Session data to JSON text and back, by `json.dumps`'s rules with NaN and infinity refused."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

FLASH_PREFIX = "_f_"
CSRF_KEY = "_csrft_"

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class PayloadError(ValueError):
    """The session holds something that JSON can't, or too much; the message names the key."""


def dumps(data: Mapping[str, Any]) -> str:
    """Return `data` as JSON text, in ASCII: any str survives, a lone surrogate or NUL included.

    Raises `PayloadError`, which names the path to the value that can't be stored.
    """
    try:
        return _encode(data)
    except (TypeError, ValueError, RecursionError) as exc:
        path, problem = _find(data, "session", ()) or ("session", str(exc))
        raise PayloadError(f"{path} can't be stored as JSON: {problem}") from exc


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
        largest = max(data, key=lambda key: len(dumps({key: data[key]})), default="")
        raise PayloadError(
            f"the session takes {size} bytes, and {where} holds {limit}: "
            f"session[{largest!r}] is its largest part"
        )


def _find(value: Any, path: str, above: tuple[int, ...]) -> tuple[str, str] | None:
    """Return the path to the first value that fails alone, and why; None if there is none."""
    if id(value) in above:
        return path, "it contains itself"
    if len(above) > 200:
        return path, "it is nested too deeply"
    if isinstance(value, dict | list | tuple):
        children = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in children:
            if isinstance(value, dict) and not isinstance(key, str | int | float | None):
                return f"{path}[{key!r}]", f"a key of type {type(key).__name__}"
            found = _find(child, f"{path}[{key!r}]", (*above, id(value)))
            if found:
                return found
        return None
    try:
        _encode(value)
    except TypeError:
        return path, f"a value of type {type(value).__name__}"
    except ValueError as exc:
        return path, f"the number {value}" if isinstance(value, float) else str(exc)
    return None
