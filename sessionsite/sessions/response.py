"""What a response says of a session: to the browser by its cookie, and to caches."""

from pyramid.response import Response

from .settings import CookieSettings


def set_session_cookie(
    response: Response, settings: CookieSettings, value: str, max_age: int | None, secure: bool
) -> None:
    """Set the session cookie; an empty `value` with a `max_age` of 0 deletes it.

    Deletion needs the same attributes: browsers ignore an incomplete Set-Cookie for a `__Host-`
    name.
    """
    response.set_cookie(
        settings.cookie_name,
        value,
        max_age=max_age,
        path=settings.path,
        domain=settings.domain,
        secure=secure,
        httponly=settings.httponly,
        samesite=settings.samesite,
    )


def prevent_caching(response: Response) -> None:
    """Let no cache keep `response`, or give it to another visitor (RFC 9111, 5.2.2)."""
    headers = response.headers
    headers["Cache-Control"] = "private, no-store"
    vary = headers.get("Vary")
    if not vary:
        headers["Vary"] = "Cookie"
    elif not {"cookie", "*"} & {name.strip().lower() for name in vary.split(",")}:
        headers["Vary"] = f"{vary}, Cookie"
