"""What a response says of a session: to the browser by its cookie, and to caches."""

import re

from pyramid.request import Request
from pyramid.response import Response

from .settings import CookieSettings

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
    if settings.partitioned:
        partition_cookie(response)


def partition_cookie(response: Response) -> None:
    """Add `Partitioned` (CHIPS) to the cookie that was set last; WebOb does not know it."""
    name, value = response.headerlist[-1]
    response.headerlist[-1] = (name, f"{value}; Partitioned")


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
    return [None, *parents[:MAX_DOMAINS]]


def _paths(request: Request) -> list[str]:
    path = request.environ.get("SCRIPT_NAME", "") + request.environ.get("PATH_INFO", "")
    if not re.fullmatch(r"/[\x21-\x3a\x3c-\x7e]*", path):
        return ["/"]
    ends = [i for i, character in enumerate(path) if character == "/"]
    above = [each for end in ends for each in (path[: end + 1], path[:end]) if each]
    return list(dict.fromkeys([*above, path]))[:MAX_PATHS]


def prevent_caching(response: Response) -> None:
    """Let no cache keep `response`, or give it to another visitor (RFC 9111, 5.2.2)."""
    headers = response.headers
    headers["Cache-Control"] = "private, no-store"
    vary = headers.get("Vary")
    if not vary:
        headers["Vary"] = "Cookie"
    elif not {"cookie", "*"} & {name.strip().lower() for name in vary.split(",")}:
        headers["Vary"] = f"{vary}, Cookie"
