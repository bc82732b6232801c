"""What a response that depended on a session says to caches."""

from pyramid.response import Response


def prevent_caching(response: Response) -> None:
    """Let no cache keep `response`, or give it to another visitor (RFC 9111, 5.2.2)."""
    headers = response.headers
    headers["Cache-Control"] = "private, no-store"
    vary = headers.get("Vary")
    if not vary:
        headers["Vary"] = "Cookie"
    elif not {"cookie", "*"} & {name.strip().lower() for name in vary.split(",")}:
        headers["Vary"] = f"{vary}, Cookie"
