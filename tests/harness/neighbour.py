"""A page beside the site, on a subdomain of the site's name, that plants cookies."""

import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.harness.nginx import make_certificate

NAME = "evil.site.test"


class Neighbour(ThreadingHTTPServer):
    """Answers every request with a page and with `cookies`: the bytes after `Set-Cookie: `.

    `seen` are the Cookie headers of the last request, each byte as a character of Latin-1.
    """

    daemon_threads = True

    def __init__(self, scheme: str) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        port = self.server_address[1]
        self.url = f"{scheme}://{NAME}:{port}/"
        self.at_the_site = f"{scheme}://{NAME.partition('.')[2]}:{port}/"
        """The same page under the site's own name, where `seen` is what the site would see."""
        self.cookies: Sequence[bytes] = ()
        self.seen: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: a browser hangs up on a certificate that it does not know, and retries."""


class _Page(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:  # http.server's name
        self.server.seen = self.headers.get_all("Cookie", [])
        headers = [b"HTTP/1.0 200 OK", b"Content-Type: text/html", b"Cache-Control: no-store"]
        headers += [b"Set-Cookie: " + cookie for cookie in self.server.cookies]
        # Written as bytes: no library between would let all of these names through.
        self.wfile.write(b"\r\n".join([*headers, b"", b"<title>Neighbour</title>"]))

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def start_neighbour(directory: Path, scheme: str = "https") -> Iterator[Neighbour]:
    """A neighbour in a thread of this process; its certificate is in `directory`."""
    with Neighbour(scheme) as server:
        if scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*make_certificate(directory, [NAME]))
            # A handshake that fails must not end the thread that accepts connections.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
