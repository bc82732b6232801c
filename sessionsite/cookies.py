"""The `Cookie` header, as the parsers of all session factories can safely read it."""

import logging
import re
from http.cookies import Morsel
from typing import Any

log = logging.getLogger(__name__)

# RFC 6265, 4.1.1, but for "[" and "]" in a value: WebOb takes what follows one for another cookie.
_PAIR = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"
    r'(?:[!#-+./:<-Z^-~0-9-]*|"[!#-+./:<-Z^-~0-9-]*")'
)
# Python's own parser takes these for attributes of the cookie before, and reads no cookie at all
# where they come first; a name that begins with "$" it answers with an error.
_ATTRIBUTES = frozenset(Morsel()) | {"partitioned"}


def readable_cookies(header: str) -> str:
    """Return `header` without what a parser could misread; other pairs stay as they are.

    Only space and tab surround a name and a value: other parsers strip more, such as U+00A0, and
    would then take the cookie of a neighbour for the site's own `__Host-` one. A comma ends a
    value, and no cookie begins behind it: it is where a server has joined two headers, or a
    neighbour's `x=1, NAME=...`. All that is left out is some other site's: a session cookie is in
    letters, digits and punctuation.
    """
    pairs = (pair.partition(",")[0].strip(" \t") for pair in header.split(";"))
    return "; ".join(pair for pair in pairs if _is_readable(pair))


def _is_readable(pair: str) -> bool:
    match = _PAIR.fullmatch(pair)
    if match is None or match["name"].startswith("$"):
        return False
    return match["name"].lower() not in _ATTRIBUTES


class CookieCleaner:
    """Leaves only `readable_cookies` in the header of a WSGI environment; thread-safe."""

    def __init__(self, name: str | None) -> None:
        """`name`: the session cookie's; a warning, once, says if it stands behind a comma."""
        self._joined = re.compile(rf",[ \t]*{re.escape(name)}[ \t]*=") if name else None

    def clean(self, environ: dict[str, Any]) -> None:
        header: str = environ.get("HTTP_COOKIE", "")
        if not header:
            return
        environ["HTTP_COOKIE"] = readable_cookies(header)
        if "," in header and self._joined is not None and self._joined.search(header):
            self._joined = None
            log.warning(
                "The session cookie stands behind a comma and was ignored: if the server joins "
                "several Cookie headers, it must join them with '; ' (RFC 9113 8.2.3)"
            )
