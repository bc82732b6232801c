"""One process that serves requests to itself, in one thread, and says how much CPU each takes.

It is started as a script, so that the `sessionsite` of any checkout can be on its path. On its
command line stand a database URL, or "memory", and production.ini. For each line that it reads, the
name of a request and how often to serve it, it prints the microseconds of each one.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pyramid.config import Configurator
from pyramid.paster import get_appsettings
from pyramid.request import Request
from pyramid.response import Response

import sessionsite
from sessionsite.sessions import MemoryStore

PATHS = ("/", "/about", "/contact")
BARE = {"no session": "/bare/none", "opened": "/bare/load", "opened and saved": "/bare/save"}
VISITS = 25  # before anything is timed: the history is full


def memory(settings: Mapping[str, Any]) -> MemoryStore:
    """Return the store that `session.store` names."""
    return MemoryStore()


def bare(request: Request) -> Response:
    """Do nothing but what is asked of the session."""
    what = request.matchdict["what"]
    if what != "none":
        session = request.session
        history = session.get("history", [])
        if what == "save":
            session["history"] = [request.environ["QUERY_STRING"], *history][:20]
    return Response("done")


def make_app(production: str, url: str) -> Any:
    settings = get_appsettings(production)
    if url == "memory":
        settings["session.store"] = "__main__.memory"
        settings = {k: v for k, v in settings.items() if not k.startswith("session.sqlalchemy.")}
    else:
        settings["session.sqlalchemy.url"] = url
        settings["session.sql.create_table"] = "true"
    app: Any = sessionsite.main({}, **settings)
    config = Configurator(registry=app.registry)
    config.add_route("bare", "/bare/{what}")
    config.add_view(bare, route_name="bare")
    config.commit()
    return app


class Visitor:
    """Sends one app the requests of one visitor, as waitress passes them on behind a proxy."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._count = 0
        self._cookie = ""
        self.requests: dict[str, Callable[[], None]] = {
            "visit": lambda: self._page({}),
            "read": lambda: self._page({"HTTP_SEC_PURPOSE": "prefetch"}),
            "not found": lambda: self._get("/nowhere", "404"),
            **{name: partial(self._bare, path) for name, path in BARE.items()},
        }
        for _ in range(VISITS):
            self._page({})

    def _page(self, more: dict[str, str]) -> None:
        self._count += 1
        self._get(PATHS[self._count % 3], **more)

    def _bare(self, path: str) -> None:
        self._count += 1
        self._get(path, query=f"visit={self._count % 10}")

    def _get(self, path: str, expected: str = "200", query: str = "", **more: str) -> None:
        environ: dict[str, Any] = {
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_HOST": "192.0.2.1",
            "REMOTE_PORT": "",
            "REQUEST_METHOD": "GET",
            "SERVER_PORT": "443",
            "SERVER_NAME": "waitress.invalid",
            "SERVER_SOFTWARE": "waitress",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "wsgi.url_scheme": "https",
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input": None,
            "wsgi.input_terminated": True,
            "HTTP_HOST": "bench.example",
            "HTTP_X_FORWARDED_FOR": "192.0.2.1",
            "HTTP_X_FORWARDED_HOST": "bench.example",
            "HTTP_X_FORWARDED_PORT": "443",
            "HTTP_X_FORWARDED_PROTO": "https",
            **more,
        }
        if self._cookie:
            environ["HTTP_COOKIE"] = self._cookie
        body = self._app(environ, self._start)
        for _ in body:
            pass
        if not self.status.startswith(expected):
            raise RuntimeError(f"{path}: {self.status}")

    def _start(self, status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
        self.status = status
        for name, value in headers:
            if name == "Set-Cookie":
                self._cookie = value.partition(";")[0]


def main(url: str, production: str) -> None:
    visitor = Visitor(make_app(production, url))
    for line in sys.stdin:
        name, _, times = line.strip().rpartition(" ")
        request = visitor.requests[name]
        started = time.thread_time_ns()
        for _ in range(int(times)):
            request()
        used = time.thread_time_ns() - started
        print(f"{used / int(times) / 1000:.2f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
