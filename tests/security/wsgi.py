"""A request straight to a site's WSGI app, as no well-meaning client would send it."""

import io
from typing import Any

from tests.harness.sites import Site

Answer = tuple[int, dict[str, str], str]


def environ_of(site: Site, method: str, path: str, body: bytes) -> dict[str, Any]:
    """Return what a WSGI server passes on of a plain request."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "waitress.invalid",
        "SERVER_PORT": "6543",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": site.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def send(site: Site, method: str = "GET", path: str = "/", **environ: Any) -> Answer:
    """One request with just this environ, as a WSGI server would pass it on: bytes as Latin-1."""
    base = environ_of(site, method, path, environ.pop("body", b""))
    answers: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {k: v for k, v in (base | environ).items() if v is not None}
    chunks = site.app(environ, lambda status, headers, _=None: answers.append((status, headers)))
    text = b"".join(chunks).decode()
    ((status, headers),) = answers
    return int(status.split()[0]), dict(headers), text
