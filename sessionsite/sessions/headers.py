"""What a response that depended on a session says to caches."""

from pyramid.response import Response


def prevent_caching(response: Response) -> None:
    """Let no cache keep `response`, or give it to another visitor (RFC 9111, 5.2.2)."""
    response.headers["Cache-Control"] = "private, no-store"
    vary = response.vary or ()
    if not any(name.lower() in ("cookie", "*") for name in vary):
        response.vary = (*vary, "Cookie")
