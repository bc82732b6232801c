"""Many clients at once, and the site of several processes that they ask."""

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from tests.harness.pserve import Pserve
from tests.races.gates import TIMEOUT, Gate, GateKeeper

COOKIE_NAME = "races"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sets_cookie(self) -> bool:
        return "Set-Cookie" in self.headers

    @property
    def cookie(self) -> str:
        """The value of the one session cookie that it sets."""
        (header,) = self.headers.get_all("Set-Cookie", [])
        name, _, value = header.partition(";")[0].partition("=")
        assert name == COOKIE_NAME
        return value


@dataclass(frozen=True)
class Site:
    """Processes on one store. `store` looks into it from here; `url` is its database's address."""

    ports: Sequence[int]
    store: Any  # an OwnerStore
    url: str
    keeper: GateKeeper
    servers: Sequence[Pserve]

    def alarms(self) -> int:
        """How many tokens the processes have logged as stolen, perhaps."""
        return sum(server.output().count("it may be stolen") for server in self.servers)

    def crowd(self, size: int) -> "Crowd":
        return Crowd(self.ports, size)

    def gate(self, size: int, *, held: bool = False) -> Gate:
        return self.keeper.gate(size, held=held)


class _Own(threading.local):
    """A thread's connections."""

    def __init__(self) -> None:
        self.by_port: dict[int, http.client.HTTPConnection] = {}


class Crowd:
    """`size` clients, each a thread with a connection to each process, which take turns."""

    def __init__(self, ports: Sequence[int], size: int) -> None:
        self._ports = itertools.cycle(ports)
        self._threads = ThreadPoolExecutor(size)
        self._own = _Own()
        self._connections: list[http.client.HTTPConnection] = []

    def get(
        self,
        path: str,
        cookie: str = "",
        *,
        loaded: Gate | None = None,
        latency: float = 0,
        now: datetime | None = None,
        form: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Ask one process, from this thread; the request waits at the gate `loaded`.

        With a `form` it is a POST.
        """
        headers = {}
        if cookie:
            headers["Cookie"] = f"{COOKIE_NAME}={cookie}"
        if loaded:
            headers["X-Gates"] = f"loaded={loaded.name}"
        if latency:
            headers["X-Latency"] = str(latency)
        if now:
            headers["X-Now"] = now.isoformat()
        connection = self._connection(next(self._ports))
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        if form is None:
            connection.request("GET", target, headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("POST", target, urlencode(form), headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def start(self, path: str, cookie: str = "", **options: Any) -> "Future[Answer]":
        """Ask from one of the crowd's threads."""
        return self._threads.submit(self.get, path, cookie, **options)

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Call `work` with each item, on the crowd's threads; the results in that order."""
        return list(self._threads.map(work, items))

    def _connection(self, port: int) -> http.client.HTTPConnection:
        own = self._own.by_port
        if port not in own:
            own[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * TIMEOUT)
            self._connections.append(own[port])
        return own[port]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()


def results(futures: Iterable["Future[Answer]"]) -> list[Answer]:
    return [future.result() for future in futures]
