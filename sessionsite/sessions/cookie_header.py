"""Reads the `Cookie` header as RFC 6265 has it: the one parser of both factories.

Browsers hold a name such as `__Host-x` to its prefix only if it is that very name. A parser that
strips more than the space and tab of the RFC, as `str.strip()` does, or that knows quoting and
escapes, would take a neighbour's `\\xa0__Host-x` for it.
"""

import logging
import re

from pyramid.request import Request

log = logging.getLogger(__name__)

_SPACE = " \t"


class CookieHeader:
    """Reads the cookies of one name; thread-safe."""

    def __init__(self, name: str) -> None:
        self._name = name
        # What a server leaves that joins two Cookie headers with a comma. The first header can't
        # be told from a neighbour's `x=1, NAME=…` there, so such a cookie opens nothing.
        self._joined = re.compile(rf",[ \t]*{re.escape(name)}[ \t]*=")
        self._warned_of_commas = False

    def values(self, request: Request) -> list[str]:
        """Return the values that the request's cookies of this name have, each of them once."""
        header: str | None = request.environ.get("HTTP_COOKIE")
        if header is None:
            return self._given(request)
        if self._name not in header:
            return []
        values = []
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            if name.strip(_SPACE) == self._name:
                # No value of ours has a comma: one that is there begins another header.
                values.append(_unquoted(value.partition(",")[0].strip(_SPACE)))
        if "," in header and not self._warned_of_commas and self._joined.search(header):
            self._warned_of_commas = True
            log.warning(
                "A cookie named %s stands behind a comma and was ignored: if the server joins "
                "several Cookie headers, it must join them with '; ' (RFC 9113 8.2.3)",
                self._name,
            )
        return list(dict.fromkeys(values))

    def _given(self, request: Request) -> list[str]:
        """Return the value of a request without a header: Pyramid's DummyRequest has a dict."""
        value = request.cookies.get(self._name)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        return [] if value is None else [value]


def _unquoted(value: str) -> str:
    """Remove the double quotes that RFC 6265 allows around a value."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value
