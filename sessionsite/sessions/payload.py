"""Session data to JSON text and back, by `json.dumps`'s rules with NaN and infinity refused."""

import json
from collections.abc import Mapping
from typing import Any

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class PayloadError(ValueError):
    """The session holds something that JSON can't; the message names the key."""


def dumps(data: Mapping[str, Any]) -> str:
    """Return `data` as JSON text, in ASCII: any str survives, a lone surrogate or NUL included.

    Raises `PayloadError`, which names the path to the value that can't be stored.
    """
    try:
        return _encode(data)
    except (TypeError, ValueError, RecursionError) as exc:
        path, problem = _find(data, "session", ()) or ("session", str(exc))
        raise PayloadError(f"{path} can't be stored as JSON: {problem}") from exc


def loads(text: str) -> dict[str, Any]:
    """Return the object that `text` holds. Raises ValueError for anything else."""
    try:
        data = json.loads(text)
    except (TypeError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc
    if not isinstance(data, dict):
        raise ValueError("JSON, but no object")
    return data


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
