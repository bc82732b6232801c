"""What stands between granian and the app: refuses what granian lets through, and speaks WSGI.

granian's own wrapper copies the environment, secrets included, into each request's environ, where
a variable named HTTP_... becomes a header; and it hands over a body that broke off as an empty one.
"""

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from itertools import chain, islice
from typing import Any, Final

log = logging.getLogger(__name__)

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]

# A response that has its length, up to this one, is taken at once: no client that reads slowly then
# holds a thread.
LARGE: Final = 2**20  # bytes
_SENDABLE: Final = re.compile(r"[\t -~]*")  # what granian takes for a header's value


class Front:
    """Calls `app` for each request of granian's, which calls this in one of its threads."""

    def __init__(
        self,
        app: WSGIApp,
        *,
        max_body: int,
        max_header: int,
        url_prefix: str = "",
        multiprocess: bool = False,
    ) -> None:
        """`max_body` and `max_header` are in bytes.

        `url_prefix` begins with a slash and does not end with one.
        """
        self._app = app
        self._max_body = max_body
        self._max_header = max_header
        self._prefix = url_prefix
        self._base: Environ = {
            "SCRIPT_NAME": url_prefix,
            "SERVER_SOFTWARE": "granian",
            "wsgi.errors": sys.stderr,
            "wsgi.input_terminated": True,
            "wsgi.multiprocess": multiprocess,
            "wsgi.multithread": True,
            "wsgi.run_once": False,
            "wsgi.version": (1, 0),
        }
        self.running: set[int] = set()
        """The threads that are at work on a request."""
        self.draining = False
        """Whether to tell each client that its connection will close."""

    def __call__(self, protocol: Any, environ: Environ) -> None:
        """Answer one request by one of `protocol`'s methods. `environ` is new, from granian."""
        thread = threading.get_ident()
        self.running.add(thread)
        try:
            self._answer(protocol, environ)
        except Exception:
            log.exception("The app has failed")
            protocol.response_bytes(*_plain("500 Internal Server Error"))
        finally:
            self.running.discard(thread)

    def _answer(self, protocol: Any, environ: Environ) -> None:
        refusal = self._prepare(environ)
        if refusal is not None:
            protocol.response_bytes(*_plain(refusal))
            return
        answer = _Answer(self)
        chunks = self._app(environ, answer.start)
        if not isinstance(chunks, list):
            stream = _Stream(chunks)  # only now may the app have called `start`
            if not answer.is_small():
                protocol.response_iter(answer.status, answer.headers, stream)
                return
            chunks = stream.all()
        protocol.response_bytes(answer.status, answer.headers, b"".join(chunks))

    def _prepare(self, environ: Environ) -> str | None:
        """Make `environ` what an app expects, or return the status that refuses the request."""
        body = environ.pop("wsgi.input")
        # granian reads past its own limit, of which it knows the order of magnitude alone
        if sum(map(len, environ)) + sum(map(len, environ.values())) > self._max_header:
            return "431 Request Header Fields Too Large"
        # A chunked body that is malformed, or breaks off, looks as if it were empty.
        if "HTTP_TRANSFER_ENCODING" in environ:
            return "411 Length Required"
        # granian leaves nothing of a header that is not ASCII: the visitor would lose the session.
        if environ.get("HTTP_COOKIE") == "":
            return "400 Bad Request"
        path: str = environ["PATH_INFO"]
        if not path.startswith("/"):
            return "400 Bad Request"
        content = b""
        if length := int(environ.get("CONTENT_LENGTH") or 0):
            if length > self._max_body:
                return "413 Content Too Large"
            content = body.read()
            if len(content) != length:
                return "400 Bad Request"
        environ["wsgi.input"] = BytesIO(content)
        environ.update(self._base)
        if path.startswith("//"):
            environ["PATH_INFO"] = path = "/" + path.lstrip("/")
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            environ["PATH_INFO"] = path[len(self._prefix) :]
        if environ["SERVER_PROTOCOL"] == "HTTP/1":
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        if environ.get("HTTP_HOST") == "":
            del environ["HTTP_HOST"]
        return None


class _Answer:
    def __init__(self, front: Front) -> None:
        self._front = front
        self.status = 500
        self.headers: Headers = []

    def start(self, status: str, headers: Headers, exc_info: object = None) -> None:
        """WSGI's `start_response`, without its `write`. Raises ValueError."""
        values = "".join([value for _, value in headers])
        # granian would panic
        if not (values.isascii() and values.isprintable()) and not _SENDABLE.fullmatch(values):
            raise ValueError("a header of the response is not ASCII")
        self.status = int(status[:3])
        self.headers = [*headers, ("Connection", "close")] if self._front.draining else headers

    def is_small(self) -> bool:
        return any(
            name.lower() == "content-length" and int(value) <= LARGE for name, value in self.headers
        )


class _Stream:
    """An iterable of WSGI's, as granian wants it."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.close: Callable[[], object] = getattr(chunks, "close", lambda: None)
        try:
            rest = iter(chunks)
            self._rest: Iterator[bytes] = chain(list(islice(rest, 1)), rest)
        except BaseException:
            self.close()
            raise

    def __next__(self) -> bytes:
        return next(self._rest)

    def all(self) -> list[bytes]:
        try:
            return list(self._rest)
        finally:
            self.close()


def _plain(status: str) -> tuple[int, Headers, bytes]:
    body = f"{status[4:]}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
    return int(status[:3]), [*headers, ("Content-Length", str(len(body)))], body
