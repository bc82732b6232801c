"""The host names that the site answers to; a `Host` header is compared with them here."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from .sessions.ini import Kind

_LABEL = "[a-z0-9_-]{1,63}"
_ENTRY = re.compile(rf"(\*\.)?({_LABEL}(?:\.{_LABEL})*)\.?")
_HEADER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class HostNames:
    """The names of an .ini value, in lower case, without a dot at the end."""

    exact: frozenset[str] = frozenset()
    below: tuple[str, ...] = ()
    """`.example.org` for `*.example.org`."""
    any: bool = False

    def allow(self, header: str) -> bool:
        """Return whether the site answers to the `Host` header `header`; no malformed one."""
        return self.name(header) or (self.any and _host(header) is not None)

    def name(self, header: str) -> bool:
        """Return whether `header` is one of the names that are written out; `*` names none."""
        host = _host(header)
        if host is None:
            return False
        return host in self.exact or (host.endswith(self.below) and not host.startswith("."))


def _host(header: str) -> str | None:
    match = _HEADER.fullmatch(header)
    if match is None or int(match[2] or 0) > 65535:
        return None
    try:
        return _address(match[1]) if match[1].startswith("[") else _without_dot(match[1].lower())
    except ValueError:
        return None


def _without_dot(name: str) -> str:
    # "example.org." is the same host, spelled so that no search list applies.
    if not (name := name.removesuffix(".")):
        raise ValueError("no name")
    return name


def _address(text: str) -> str:
    """Return an IPv6 address in brackets in its one short form. Raises ValueError."""
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets")
    if "%" in text:
        raise ValueError("no client names a zone of this machine")
    return f"[{IPv6Address(text[1:-1])}]"


def parse_host_names(text: str) -> HostNames:
    """Return the names in `text`, which white space separates.

    Raises ValueError for an entry that no `Host` header can match.
    """
    exact, below, anything = set(), [], False
    for entry in text.lower().split():
        if entry == "*":
            anything = True
        elif entry.startswith("["):
            exact.add(_address(entry))
        elif match := _ENTRY.fullmatch(entry):
            star, name = match.groups()
            if name.rpartition(".")[2].isdecimal():  # browsers take all such names for IPv4
                if star:
                    raise ValueError(entry)
                IPv4Address(name)
            if star:
                below.append(f".{name}")
            else:
                exact.add(name)
        else:
            raise ValueError(entry)
    return HostNames(frozenset(exact), tuple(below), anything)


LOOPBACK = "localhost 127.0.0.1 [::1]"
HOST_NAMES = Kind(
    lambda value: parse_host_names(str(value)),
    "give host names without scheme, port and path, separated by spaces: example.org, "
    "*.example.org for all names below it, [::1]; or * for any name",
    "host names, `*`",
)
