"""Reading .ini strings strictly: what any package of settings needs.

Whatever is wrong stops the process at start: `ConfigurationError` says in one line which key,
which value (never a secret's) and what would do.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
BOOLEANS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip

T = TypeVar("T")
_REQUIRED: Final[Any] = object()


class ConfigurationError(ValueError):
    """A setting that is missing, wrong or contradicts another; the message is one line."""


def expand_environment(
    settings: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Return `settings` with `${NAME}` and `${NAME:-default}` replaced from `environ`.

    As in a shell, the default also stands in for an empty variable. What a variable holds is
    taken as it is, never expanded again. Raises `ConfigurationError` for a variable that is
    not set and has no default.
    """

    def expand(key: str, value: str) -> str:
        def replace(match: re.Match[str]) -> str:
            name, default = match.groups()
            found = environ.get(name) or default
            if found is None:
                raise ConfigurationError(
                    f"{key} takes its value from the environment variable {name}, "
                    f"which is not set: set {name}, or write ${{{name}:-a default}}"
                )
            return found

        return _VARIABLE.sub(replace, value)

    return {k: expand(k, v) if isinstance(v, str) else v for k, v in settings.items()}


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
        """Raise the `ConfigurationError` of one key: it is, and what would do."""
        value = f" = {self._values.get(name)!r}" if show and name in self._values else ""
        raise ConfigurationError(f"{self._prefix}{name}{value}: {expected}")

    def _get(self, name: str, default: T, parse: Callable[[Any], T], expected: str) -> T:
        self._read.add(name)
        value = self._values.get(name)
        if value is None or value == "":
            if default is _REQUIRED:
                self.refuse(name, f"is required: {expected}")
            return default
        try:
            return parse(value)
        except (ValueError, KeyError, TypeError):
            self.refuse(name, expected)

    def text(self, name: str, default: str = _REQUIRED) -> str:
        return self._get(name, default, str, "give a text")

    def optional_text(self, name: str) -> str | None:
        return self._get(name, None, lambda v: None if v == "none" else str(v), "give a text")

    def boolean(self, name: str, default: bool) -> bool:
        return self._get(name, default, lambda v: BOOLEANS[str(v).lower()], "give true or false")

    def integer(self, name: str, default: int | None, *, minimum: int, unit: str) -> int:
        value = self._integer(name, default, minimum, f"give a whole number of {unit}")
        if value is None:
            self.refuse(name, f"none will not do: give a whole number of {unit}")
        return value

    def limit(self, name: str, default: int | None, *, minimum: int, unit: str) -> int | None:
        """A whole number, or `none` for no limit."""
        return self._integer(name, default, minimum, f"give a whole number of {unit}, or none")

    def _integer(self, name: str, default: int | None, minimum: int, what: str) -> int | None:
        def parse(value: Any) -> int | None:
            if str(value).lower() == "none":
                return None
            if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d{1,18}", str(value), re.A):
                raise ValueError
            if (number := int(value)) < minimum:
                raise ValueError
            return number

        return self._get(name, default, parse, f"{what} (at least {minimum})")

    def choice(self, name: str, default: T, choices: Mapping[str, T]) -> T:
        return self._get(
            name, default, lambda v: choices[str(v).lower()], f"give {' or '.join(choices)}"
        )

    def words(self, name: str) -> tuple[str, ...]:
        return self._get(name, (), lambda v: tuple(str(v).split()), "give words")

    def section(self, name: str) -> dict[str, Any]:
        """The keys below `name`, without it; whoever gets them checks them."""
        found = {k.removeprefix(name): v for k, v in self._values.items() if k.startswith(name)}
        self._read.update(name + key for key in found)
        return found

    def finish(self, elsewhere: Mapping[str, str] | None = None) -> None:
        """Refuse what nobody has read; `elsewhere` has a sentence for keys known to others."""
        for name in self._values.keys() - self._read:
            if elsewhere and name in elsewhere:
                self.refuse(name, elsewhere[name], show=False)
            close = difflib.get_close_matches(name, self._read, n=1)
            hint = f"did you mean {self._prefix}{close[0]}?" if close else "remove it"
            self.refuse(name, f"is not a setting: {hint}", show=False)
