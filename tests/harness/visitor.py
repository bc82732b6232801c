"""A visitor without a network: requests to a session factory, with a cookie jar and a clock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

Factory = Callable[[Request], Any]


class Clock:
    """The time that is passed in; it stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) -> None:
        self.start = self.now = start

    def __call__(self) -> datetime:
        return self.now

    def time(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Visitor:
    """One browser: keeps the cookies that it is sent."""

    def __init__(self, factory: Factory, **cookies: str) -> None:
        self.factory = factory
        self.cookies = cookies
        self.registry = Registry()
        self.set_cookie: list[str] = []

    def open(self, **environ: str) -> Request:
        """Send a request; its `session` is the factory's."""
        environ.setdefault("wsgi.url_scheme", "https")
        request = Request.blank("/", environ=environ)
        if self.cookies and "HTTP_COOKIE" not in environ:
            pairs = (f"{name}={value}" for name, value in self.cookies.items())
            request.environ["HTTP_COOKIE"] = "; ".join(pairs)
        request.registry = self.registry
        request.session = self.factory(request)
        return request

    def close(self, request: Request, **options: Any) -> Response:
        """Receive the response to `request`, and keep its cookies."""
        response = Response(**options)
        request._process_response_callbacks(response)
        self.set_cookie = response.headers.getall("Set-Cookie")
        for header in self.set_cookie:
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return response

    @contextmanager
    def request(self, **environ: str) -> Iterator[Any]:
        """One request and its response around what is done with the session."""
        request = self.open(**environ)
        yield request.session
        self.close(request)
