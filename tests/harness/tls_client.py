"""Requests to nginx, over TLS and by hand."""

import http.client
import socket
import ssl
from pathlib import Path

from tests.harness.nginx import Nginx

SECURITY = {
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def ask(
    server: Nginx,
    method: str = "GET",
    path: str = "/",
    *,
    host: str = "",
    source: str = "127.0.0.1",
    **headers: str,
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer to a request over TLS; an underscore in a header's name is a hyphen."""
    trust = ssl.create_default_context(cafile=server.certificate)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection(
        "localhost", server.https_port, context=trust, timeout=20, source_address=(source, 0)
    )
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or server.url.removeprefix("https://"))
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def raw(port: int, request: bytes, trust: Path | None = None, source: str = "127.0.0.1") -> str:
    """The whole answer to what is sent, over TLS where a certificate is to be trusted."""
    with socket.create_connection(
        ("127.0.0.1", port), timeout=20, source_address=(source, 0)
    ) as connection:
        if trust:
            context = ssl.create_default_context(cafile=trust)
            connection = context.wrap_socket(connection, server_hostname="localhost")
        with connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    return answer.decode("latin-1")


def check_headers(answer: str, status: int, *, https: bool) -> None:
    head = answer.partition("\r\n\r\n")[0]
    assert head.startswith(f"HTTP/1.1 {status} ")
    names = [line.partition(":")[0] for line in head.splitlines()]
    for name, value in SECURITY.items():
        assert names.count(name) == 1
        assert f"{name}: {value}" in head
    assert names.count("Strict-Transport-Security") == https
