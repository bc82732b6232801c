"""One HTTP client for all programs: a visitor behind a trusted https proxy, with its cookies."""

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAGES = ("/", "/about", "/contact")
HOST = "bench.example"
HEADERS = {
    "Host": HOST,
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Host": HOST,
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}
TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    cookies: dict[str, str]
    """What the response sets; an empty value is a cookie taken away."""
    loaded: float
    """When the handler had read the session, in seconds since the epoch; 0 if it does not say."""

    @property
    def json(self) -> dict[str, Any]:
        """The page's data; nothing from an error page."""
        return dict(json.loads(self.body)) if self.status == 200 else {}


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)


class Browser:
    """One visitor: keeps the cookies of all its responses, in the order in which they come."""

    def __init__(self, port: int, cookies: Mapping[str, str] | None = None) -> None:
        self._port = port
        self._lock = threading.Lock()
        self.cookies = dict(cookies or {})

    @property
    def cookie(self) -> str:
        """The `Cookie` header that it sends; empty for none."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def get(self, path: str, over: http.client.HTTPConnection | None = None) -> Answer:
        """Ask for `path`, on a connection of its own or over one that stays open."""
        connection = self._send(path, over)
        answer = self._finish(connection)
        if over is None:
            connection.close()
        return answer

    def follow(self, path: str) -> Answer:
        """Get a page that redirects; as browsers do, go on as soon as its headers are there."""
        first = self._send(path)
        response = first.getresponse()
        self._keep(_set_cookies(response))
        location = response.headers["Location"]
        second = self._send(location[location.rindex("/") :])
        response.read()
        first.close()
        answer = self._finish(second)
        second.close()
        return answer

    def at(self, port: int) -> "Browser":
        """Return another visitor that starts with the same cookies."""
        return Browser(port, self.cookies)

    def another(self) -> "Browser":
        return self.at(self._port)

    def _send(
        self, path: str, over: http.client.HTTPConnection | None = None
    ) -> http.client.HTTPConnection:
        headers = HEADERS | ({"Cookie": self.cookie} if self.cookies else {})
        connection = over or connect(self._port)
        connection.request("GET", path, headers=headers)
        return connection

    def _finish(self, connection: http.client.HTTPConnection) -> Answer:
        response = connection.getresponse()
        loaded = float(response.headers.get("X-Loaded", 0))
        answer = Answer(response.status, response.read(), _set_cookies(response), loaded)
        self._keep(answer.cookies)
        return answer

    def _keep(self, cookies: Mapping[str, str]) -> None:
        with self._lock:
            merged = {**self.cookies, **cookies}
            self.cookies = {name: value for name, value in merged.items() if value}


def _set_cookies(response: http.client.HTTPResponse) -> dict[str, str]:
    found = {}
    for header in response.headers.get_all("Set-Cookie", []):
        pair, _, attributes = header.partition(";")
        name, _, value = pair.partition("=")
        gone = value.strip('"') == "" or "max-age=0" in attributes.lower().replace(" ", "")
        found[name.strip()] = "" if gone else value
    return found
