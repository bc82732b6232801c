"""One HTTP client for all four: a browser's cookies, and as many requests at once as it takes."""

import http.client
import json
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    status: int
    cookies: dict[str, str]
    """What the response sets; an empty value is a cookie taken away."""
    body: bytes
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

    def get(self, path: str) -> Answer:
        return self._finish(self._send(path))

    def follow(self, path: str) -> Answer:
        """Get a page that redirects; as browsers do, go on as soon as its headers are there."""
        first = self._send(path)
        response = first.getresponse()
        self._keep(_set_cookies(response))
        location = response.headers["Location"]
        second = self._send(location[location.rindex("/") :])
        response.read()
        first.close()
        return self._finish(second)

    def another(self) -> "Browser":
        """One with the same cookies, that goes its own way from here on."""
        return Browser(self._port, self.cookies)

    def _send(self, path: str) -> http.client.HTTPConnection:
        headers = {"Connection": "close"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        connection.request("GET", path, headers=headers)
        return connection

    def _finish(self, connection: http.client.HTTPConnection) -> Answer:
        response = connection.getresponse()
        loaded = float(response.headers.get("X-Loaded", 0))
        answer = Answer(response.status, _set_cookies(response), response.read(), loaded)
        connection.close()
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


class Crowd:
    """Threads that browsers ask from."""

    def __init__(self, size: int) -> None:
        self._threads = ThreadPoolExecutor(size)

    def start(self, browser: Browser, path: str) -> "Future[Answer]":
        return self._threads.submit(browser.get, path)

    def follow(self, browser: Browser, path: str) -> "Future[Answer]":
        return self._threads.submit(browser.follow, path)

    def all(self, asked: Iterable[tuple[Browser, str]]) -> list[Answer]:
        futures = [self.start(browser, path) for browser, path in asked]
        return [future.result() for future in futures]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._threads.shutdown(cancel_futures=True)
