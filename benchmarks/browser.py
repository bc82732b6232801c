"""One HTTP client for all programs: a visitor behind a trusted https proxy, with its cookies."""

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
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

    def get(
        self, path: str, *, follow: bool = False, over: http.client.HTTPConnection | None = None
    ) -> Answer:
        """Ask for `path`, on a connection of its own or over one that stays open.

        A redirect is followed as browsers do it, as soon as its headers are there.
        """
        connection = over or http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = HEADERS | ({"Cookie": self.cookie} if self.cookies else {})
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        cookies = _set_cookies(response)
        with self._lock:
            merged = {**self.cookies, **cookies}
            self.cookies = {name: value for name, value in merged.items() if value}
        if follow:
            return self.get("/" + response.headers["Location"].rpartition("/")[2])
        loaded = float(response.headers.get("X-Loaded", 0))
        answer = Answer(response.status, response.read(), cookies, loaded)
        if over is None:
            connection.close()
        return answer

    def at(self, port: int | None = None) -> "Browser":
        """One with the same cookies, that goes its own way from here on."""
        return Browser(port or self._port, self.cookies)


def _set_cookies(response: http.client.HTTPResponse) -> dict[str, str]:
    return {
        name: "" if morsel["max-age"] == "0" else morsel.value
        for header in response.headers.get_all("Set-Cookie", [])
        for name, morsel in SimpleCookie(header).items()
    }
