"""The `Cookie` header, as the parsers of all session factories can safely read it."""

import re
from http.cookies import Morsel
from typing import Any

# RFC 6265, 4.1.1, but for "[" and "]" in a value: WebOb takes what follows one for another cookie.
_PAIR = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"
    r'(?:[!#-+./:<-Z^-~0-9-]*|"[!#-+./:<-Z^-~0-9-]*")'
)
# Python's own parser takes these for attributes of the cookie before, and reads no cookie at all
# where they come first; a name that begins with "$" it answers with an error.
_ATTRIBUTES = frozenset(Morsel()) | {"partitioned"}


def readable_cookies(header: str) -> str:
    """Return `header` without the pairs that a parser could misread; the others stay as they are.

    Only space and tab surround a name and a value: other parsers strip more, such as U+00A0, and
    would then take the cookie of a neighbour for the site's own `__Host-` one. All that is left
    out is some other site's: a session cookie is in letters, digits and punctuation.
    """
    pairs = (pair.strip(" \t") for pair in header.split(";"))
    return "; ".join(pair for pair in pairs if _is_readable(pair))


def _is_readable(pair: str) -> bool:
    match = _PAIR.fullmatch(pair)
    if match is None or match["name"].startswith("$"):
        return False
    return match["name"].lower() not in _ATTRIBUTES


def clean_cookies(environ: dict[str, Any]) -> None:
    """Leave only `readable_cookies` in the `Cookie` header of a WSGI environment."""
    if header := environ.get("HTTP_COOKIE"):
        environ["HTTP_COOKIE"] = readable_cookies(header)
