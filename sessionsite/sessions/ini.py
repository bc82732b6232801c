"""Reading .ini strings strictly, into dataclasses whose fields describe their keys.

Whatever is wrong stops the process at start: `ConfigurationError` says in one line which key,
which value (never a secret's) and what would do.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NoReturn

from pyramid.path import DottedNameResolver

_VARIABLE = re.compile(r"\$\{file:([^}]+)\}|\$\{(\w+)(?::-([^}]*))?\}")
# 31 years: with more, times run out of the calendar, and a thread's or a driver's wait overflows.
_LARGEST: Final = {"seconds": (10**9, ", at most 1000000000")}
_NO_LIMIT: Final = (10**18, "")
BOOLEANS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class ConfigurationError(ValueError):
    """A setting that is missing, wrong or contradicts another; the message is one line."""


def expand_environment(
    settings: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Return `settings` with `${NAME}`, `${NAME:-default}` and `${file:PATH}` replaced.

    The first two come from `environ`; as in a shell, the default also stands in for an empty
    variable. The third is the text of a file, without the line breaks at its end. What a variable
    or a file holds is taken as it is, never expanded again. Raises `ConfigurationError` for a
    variable that is not set and has no default, and for a file that can't be read.
    """

    def expand(key: str, value: str) -> str:
        def replace(match: re.Match[str]) -> str:
            path, name, default = match.groups()
            if path is not None:
                return _text_of(key, path)
            found = environ.get(name) or default
            if found is None:
                raise ConfigurationError(
                    f"{key} takes its value from the environment variable {name}, "
                    f"which is not set: set {name}, or write ${{{name}:-a default}}"
                )
            return found

        return _VARIABLE.sub(replace, value)

    return {k: expand(k, v) if isinstance(v, str) else v for k, v in settings.items()}


def _text_of(key: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as exc:  # a text that is not UTF-8, a path that holds a NUL
        why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8 text"
        raise ConfigurationError(
            f"{key} takes its value from the file {path!r}, which can't be read: {why}"
        ) from exc


def resolve(key: str, name: str) -> Callable[..., Any]:
    """Return the callable with the dotted `name`, which is the value of `key`.

    Raises `ConfigurationError`.
    """
    advice = "give the dotted name of a callable that takes the settings"
    try:
        found = DottedNameResolver(None).resolve(name)
    except (ImportError, ValueError) as exc:
        raise ConfigurationError(
            f"{key} = {name!r}: {advice}, and install its package ({exc})"
        ) from exc
    if not callable(found):
        raise ConfigurationError(f"{key} = {name!r}: {advice}")
    return found  # type: ignore[no-any-return]  # checked just above


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how to read it, and what to say where it can't be read."""

    parse: Callable[[Any], Any]
    """Returns the value; raises ValueError, KeyError or TypeError."""
    expected: str
    """Completes an error's sentence: "give …"."""
    unit: str
    """The document's column "unit"."""


def _none_or(text: Any) -> str | None:
    return None if str(text).lower() == "none" else str(text)


def _whole(text: Any, minimum: int, maximum: int) -> int:
    if isinstance(text, bool) or not re.fullmatch(r"[+-]?\d{1,18}", str(text), re.A):
        raise ValueError
    if not minimum <= (number := int(text)) <= maximum:
        raise ValueError
    return number


def text(unit: str = "text") -> Kind:
    return Kind(str, "give a text", unit)


def optional_text(unit: str = "text") -> Kind:
    """A text, or `none`."""
    return Kind(_none_or, "give a text, or none", unit)


def words(unit: str = "words") -> Kind:
    """Texts that white space separates, as a tuple."""
    return Kind(lambda value: tuple(str(value).split()), "give words", unit)


def whole(unit: str, *, minimum: int = 1) -> Kind:
    """A whole number of at least `minimum`."""
    maximum, above = _LARGEST.get(unit, _NO_LIMIT)
    expected = f"give a whole number of {unit} (at least {minimum}{above})"
    return Kind(lambda value: _whole(value, minimum, maximum), expected, unit)


def whole_or_none(unit: str, *, minimum: int = 1) -> Kind:
    """A whole number of at least `minimum`, or `none` for no limit."""
    maximum, above = _LARGEST.get(unit, _NO_LIMIT)
    expected = f"give a whole number of {unit}, or none (at least {minimum}{above})"
    return Kind(
        lambda value: None if _none_or(value) is None else _whole(value, minimum, maximum),
        expected,
        f"{unit}, `none`",
    )


def choice(choices: Mapping[str, Any], unit: str) -> Kind:
    """One of the words in `choices`, in upper or lower case."""
    expected = f"give {' or '.join(choices)}"
    return Kind(lambda value: choices[str(value).lower()], expected, unit)


BOOLEAN: Final = Kind(lambda value: BOOLEANS[str(value).lower()], "give true or false", "boolean")


@dataclass(frozen=True, slots=True)
class Key:
    """An .ini key, as the metadata of a dataclass's field."""

    kind: Kind
    meaning: str
    """What it does, for the document."""
    name: str
    """Its name below the prefix; "" for the field's own."""
    default: str
    """The document's default where the field's own does not say it."""


def key(
    kind: Kind, meaning: str, *, default: Any = MISSING, name: str = "", documented: str = ""
) -> Any:
    """Return a dataclass field that is read from an .ini key; required if it has no `default`."""
    return field(default=default, metadata={"key": Key(kind, meaning, name, documented)})


def keys_of(settings: type) -> dict[str, Field[Any]]:
    """Return the fields of the dataclass `settings` that have a key, by its name."""
    return {f.metadata["key"].name or f.name: f for f in fields(settings) if "key" in f.metadata}


class SettingsReader:
    """Reads the keys of one prefix, remembers which ones, and refuses the rest."""

    def __init__(self, settings: Mapping[str, Any], prefix: str) -> None:
        self._prefix = prefix
        self._values = {
            key.removeprefix(prefix): value.strip() if isinstance(value, str) else value
            for key, value in settings.items()
            if key.startswith(prefix)
        }
        self._read: set[str] = set()

    def refuse(self, name: str, expected: str, *, show: bool = True) -> NoReturn:
        """Raise the `ConfigurationError` of one key: its value, and what would do."""
        value = f" = {self._values.get(name)!r}" if show and name in self._values else ""
        raise ConfigurationError(f"{self._prefix}{name}{value}: {expected}")

    def has(self, name: str) -> bool:
        """Return whether the key has a value; an empty one is none."""
        return self._values.get(name) not in (None, "")

    def keys(self, settings: type) -> dict[str, Any]:
        """Return the values of all keys of the dataclass `settings`, by their fields' names."""
        return {
            f.name: self._key(name, f.metadata["key"], f.default)
            for name, f in keys_of(settings).items()
        }

    def _key(self, name: str, key: Key, default: Any) -> Any:
        self._read.add(name)
        if not self.has(name):
            if default is MISSING:
                self.refuse(name, f"is required: {key.kind.expected}")
            return default
        try:
            return key.kind.parse(self._values[name])
        except (ValueError, KeyError, TypeError):
            self.refuse(name, key.kind.expected)

    def section(self, name: str) -> dict[str, Any]:
        """Return the keys below `name`, without it; the caller passes them on to be checked."""
        found = {k.removeprefix(name): v for k, v in self._values.items() if k.startswith(name)}
        self._read.update(name + key for key in found)
        return found

    def finish(self, elsewhere: Mapping[str, str] | None = None, known: Iterable[str] = ()) -> None:
        """Refuse each key that was not read.

        `elsewhere` has the sentence for a key, or for each key below it if it ends with a dot,
        that is known but has no place here; `known` has further names to propose.
        """
        for name in sorted(self._values.keys() - self._read):
            for place, why in (elsewhere or {}).items():
                if name == place or (place.endswith(".") and name.startswith(place)):
                    self.refuse(name, why, show=False)
            close = difflib.get_close_matches(name, {*self._read, *known}, n=1)
            hint = f"did you mean {self._prefix}{close[0]}?" if close else "remove it"
            self.refuse(name, f"is not a setting: {hint}", show=False)
