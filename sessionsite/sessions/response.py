"""What a response says of a session: to the browser by its cookie, and to caches."""

import logging
import re
from urllib.parse import unquote

from pyramid.request import Request
from pyramid.response import Response

from .settings import CookieSettings

log = logging.getLogger(__name__)

# The places of a planted cookie that one response clears, at most: parent domains, paths.
MAX_DOMAINS, MAX_PATHS = 4, 8


def set_session_cookie(
    response: Response,
    settings: CookieSettings,
    value: str,
    max_age: int | None,
    secure: bool,
    place: tuple[str | None, str] | None = None,
) -> None:
    """Set the session cookie; an empty `value` with a `max_age` of 0 deletes it.

    Deletion needs the same attributes: browsers ignore an incomplete Set-Cookie for a `__Host-`
    name. `place` is another domain and path than those of the settings.
    """
    domain, path = place or (settings.domain, settings.path)
    response.set_cookie(
        settings.cookie_name,
        value,
        max_age=max_age,
        path=path,
        domain=domain,
        secure=secure,
        httponly=settings.httponly,
        samesite=settings.samesite,
    )
    if settings.partitioned:  # CHIPS; WebOb does not know it
        name, value = response.headerlist[-1]
        response.headerlist[-1] = (name, f"{value}; Partitioned")


class CookiePath:
    """Where the session cookie comes back to: `session.path` and all below it; thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._start = unquote(path, "latin-1").rstrip("/") + "/"
        self._warned = False

    def check(self, request: Request) -> None:
        """Warn, once, of a cookie that goes out to a page which it never comes back to.

        Browsers keep it all the same (RFC 6265, 5.3), in the place of the one that they had.
        """
        if self._start == "/" or self._warned:
            return
        path = request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", "")
        if not f"{path}/".startswith(self._start):
            self._warned = True
            log.warning(
                "A page outside of session.path = %s has a session: its cookie never comes back "
                "there, so that each visit begins a session. Let session.path cover all pages "
                "that use one; behind a proxy that serves the app under a path, set url_prefix",
                self._path,
            )


def clear_session_cookies(
    request: Request, response: Response, settings: CookieSettings, secure: bool
) -> None:
    """Delete the session cookie wherever one can stand that this request has come with.

    That is at the host and each of its parent domains, and at each path above the request's. A
    `__Host-` name can stand in one place only, since browsers hold it to its prefix.
    """
    if settings.cookie_name.lower().startswith("__host-"):
        places: list[tuple[str | None, str]] = [(None, "/")]
    else:
        places = [(domain, path) for domain in _domains(request) for path in _paths(request)]
        places.append((settings.domain, settings.path))
    for place in dict.fromkeys(places):
        set_session_cookie(response, settings, "", 0, secure, place)


def _domains(request: Request) -> list[str | None]:
    host = request.domain.lower().rstrip(".")
    if not re.fullmatch(r"[a-z0-9.-]+\.[a-z][a-z0-9-]*", host):
        return [None]  # no name, or an address: there is no parent
    labels = host.split(".")
    parents = [".".join(labels[i:]) for i in range(len(labels) - 1)]
    return [None, *parents[-MAX_DOMAINS:]]  # the shorter, the more neighbours can set one there


def _paths(request: Request) -> list[str]:
    path = request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", "")
    if not re.fullmatch(r"/[\x21-\x3a\x3c-\x7e]*", path):
        return ["/"]
    ends = [i for i, character in enumerate(path) if character == "/"]
    above = [each for end in ends for each in (path[: end + 1], path[:end]) if each]
    # browsers ignore a longer one (RFC 6265bis, 5.6)
    return [each for each in dict.fromkeys([*above, path]) if len(each) <= 1024][:MAX_PATHS]


def prevent_caching(response: Response, mode: str = "no-store") -> None:
    """Let no cache give `response` to another visitor (RFC 9111, 5.2.2).

    A view that has said how long the visitor's own cache may keep it is left its word, and any
    other gets `no-store`. `mode` is one of `session.cache_control`.
    """
    own, vary, dated = [], [], False
    headers = response.headerlist
    for name, value in headers:
        name = name.lower()
        if name == "cache-control":
            own.append(value)
        elif name == "vary":
            vary.append(value)
        elif name in ("expires", "pragma"):
            dated = True
    if not own:
        wanted = None if dated and mode == "keep" else _UNSAID.get(mode, _NO_STORE)
    elif mode == "keep" or _is_private(said := ", ".join(own)):
        wanted = None
    else:
        wanted = _made_private(said) if mode == "private" else _NO_STORE
    if wanted is not None:
        if own or dated:
            outdated = _CACHING if wanted == _NO_STORE else _CACHING[:1]
            headers[:] = [header for header in headers if header[0].lower() not in outdated]
        headers.append(("Cache-Control", wanted))
    if not vary:
        headers.append(("Vary", "Cookie"))
    elif not {"cookie", "*"} & {name.strip().lower() for name in ",".join(vary).split(",")}:
        response.headers["Vary"] = ", ".join([*vary, "Cookie"])


_NO_STORE = "private, no-store"
_UNSAID = {"private": "private"}
_CACHING = ("cache-control", "expires", "pragma")
_DIRECTIVE = re.compile(
    r"""[ \t]*([-!#$%&'*+.^_`|~\w]+)(?:[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s",]+))?[ \t]*(?:,|$)""",
    re.ASCII,
)


def _directives(text: str) -> list[tuple[str, str]] | None:
    """Return the directives of a Cache-Control header and their values; None for no such thing."""
    found, end = [], 0
    while end < len(text):
        match = _DIRECTIVE.match(text, end)
        if match is None:
            return None
        found.append((match[1].lower(), match[2] or ""))
        end = match.end()
    return found


def _is_private(text: str) -> bool:
    """Return whether a view's Cache-Control keeps shared caches out, and says how long.

    `private="Set-Cookie"` does not: it is about that header alone.
    """
    said = _directives(text) or []
    if ("no-store", "") in said:
        return True
    times = [value for name, value in said if name == "max-age"]
    return (
        ("private", "") in said
        and "public" not in dict(said)
        and (("no-cache", "") in said or bool(times))
        and all(re.fullmatch("[0-9]+", value) for value in times)
    )


def _made_private(text: str) -> str:
    """Return a view's Cache-Control without what it says to shared caches."""
    said = _directives(text)
    if said is None:
        return _NO_STORE
    kept = [(name, value) for name, value in said if name not in _SHARED]
    return ", ".join(["private", *(f"{name}={value}" if value else name for name, value in kept)])


_SHARED = {"public", "private", "s-maxage", "proxy-revalidate"}
