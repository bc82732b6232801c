"""Waiting for a server's answers: no more requests than the waiting room has seats for.

redis-py waits in a socket's own time-out, which nothing ends sooner. While a server is frozen, that
would hold every thread of the process, those for pages without a session too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import redis

from ..breaker import CircuitBreaker
from ..waiting import WaitingRoom


class Asked:
    """A request that has asked a server."""

    def __init__(self, server: str, breaker: CircuitBreaker) -> None:
        self.key = f"server {server}"  # no session's id, and no owner, as locks have
        self._breaker = breaker

    def gives_way(self) -> bool:
        return self._breaker.is_open

    def starves(self) -> None:
        self._breaker.timed_out(str(id(self)), "requests wait, and nothing moves")


class Answers:
    """Which request waits for an answer of which server; thread-safe."""

    def __init__(self, room: WaitingRoom, seconds: float) -> None:
        """`seconds`: how long one answer may take."""
        self._room = room
        self._seconds = seconds
        self._asked: dict[int, Asked] = {}  # by the thread
        self._classes: dict[type, type] = {}  # of connections: redis-py's, and what is made of it

    @contextmanager
    def of(self, server: str, breaker: CircuitBreaker) -> Iterator[None]:
        """Have this thread's answers come from `server`. Raises `StoreBusyError`."""
        thread, asked = get_ident(), Asked(server, breaker)
        self._room.admit(asked)
        self._asked[thread] = asked
        try:
            yield
            self._room.moved(asked.key)
        finally:
            del self._asked[thread]

    def watch(self, client: Any) -> None:
        """Have all connections that redis-py's client of one server will make wait here."""
        pool = client.connection_pool
        theirs = pool.connection_class
        if theirs in self._classes.values():
            return
        if theirs not in self._classes:
            members = {"read_response": self._reading(theirs.read_response)}
            self._classes[theirs] = type(theirs.__name__, (theirs,), members)
        pool.connection_class = self._classes[theirs]

    def _reading(self, read: Any) -> Any:
        def read_response(connection: Any, *args: Any, **options: Any) -> Any:
            try:
                self._wait(connection)
            except BaseException:
                connection.disconnect()  # the answer may come yet, and would be the next one's
                raise
            return read(connection, *args, **options)

        return read_response

    def _wait(self, connection: Any) -> None:
        asked = self._asked.get(get_ident())
        if asked is not None and not self._room.wait(asked, connection.can_read, self._seconds):
            raise redis.TimeoutError(f"no answer within {self._seconds:g} seconds")
