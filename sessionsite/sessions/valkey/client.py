"""The connections to one server, or to all masters of a cluster, through redis-py.

redis-py follows a cluster's redirections (MOVED, ASK, TRYAGAIN): these say that nothing was done.
It is told to try nothing else again: when a connection dies under a script, nobody knows whether
the script has run. That is a `StoreError`, and what may be tried again is up to the caller.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .. import forks
from ..breaker import CircuitBreaker
from ..store import Connections, StoreBusyError, StoreError
from ..waiting import WaitingRoom
from . import nodes
from .answers import Answers
from .scripts import Script
from .settings import ValkeySettings

T = TypeVar("T")
Command = tuple[bytes, Sequence[str | bytes | int]]
"""A command, behind the key that it is about."""
Call = tuple[Sequence[bytes], Sequence[str | bytes | int]]
"""The keys and the arguments of a script."""
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)
_AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ClusterError,
    redis.exceptions.RedisClusterException,
    OSError,
)


class WrongTypeError(StoreError):
    """A key of ours holds something that this store has not put there."""

    is_outage = False


class Client(forks.Forked):
    """Sends commands; thread-safe. The first command opens it, and the first after `close`.

    Each failure is a `StoreError`, and while a server is away most requests fail at once.
    """

    def __init__(self, settings: ValkeySettings) -> None:
        self._settings = settings
        self._options: dict[str, Any] = {
            "socket_timeout": 0.8 * settings.timeout,
            "socket_connect_timeout": 0.8 * settings.timeout,
            "max_connections": settings.max_connections,
            "protocol": 2,  # 3 brings a greeting, and messages between the answers
        }
        self.room = WaitingRoom(settings.max_waiting)
        self._answers = Answers(self.room, 0.8 * settings.timeout)
        self._opened: Any = None
        self._breakers: dict[str, CircuitBreaker] = {}  # by the server's name
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        if self._opened is not None:
            forks.keep_for_ever(self._opened)  # its locks may be taken for ever
        self._opened = None
        self._breakers = {}

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def script(self, script: Script, keys: Sequence[bytes], *args: str | bytes | int) -> Any:
        """Run `script`, and return its answer. Raises `StoreError`."""
        rest = (len(keys), *keys, *args)
        send = self.write if script.writes else self.command
        try:
            return send("EVALSHA", script.digest, *rest, key=keys[0])
        except redis.exceptions.NoScriptError:  # a server that was started anew, or a new master
            return send("EVAL", script.text, *rest, key=keys[0])

    def command(self, *command: str | bytes | int, key: bytes) -> Any:
        """Send a command about `key`, and return its answer. Raises `StoreError`."""
        return self._ask(key, partial(nodes.follow, command, 0.8 * self._settings.timeout))

    def write(self, *command: str | bytes | int, key: bytes) -> Any:
        """Send a command that writes `key`, and wait for as many replicas as must have it."""
        replicas = self._settings.wait_replicas
        if not replicas:
            return self.command(*command, key=key)
        wait = ("WAIT", replicas, 500 * self._settings.timeout)  # milliseconds
        seconds = 0.8 * self._settings.timeout
        answer, had = self._ask(key, partial(nodes.write_and_wait, key, command, wait, seconds))
        if had < replicas:
            raise StoreError(f"{had} replicas have the write in time, and {replicas} must have it")
        return answer

    def read(self, keys: Sequence[bytes], size: int) -> list[bytes | None]:
        """Return the first `size` bytes of each value, None for none, in few round trips."""
        last = str(size - 1).encode()  # encoded here once, and not by the client for each key
        found = self.commands([(key, ("GETRANGE", key, b"0", last)) for key in keys])
        return [value or None for value in found]

    def commands(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands that need no replica, in few round trips, and return their answers.

        The answer is None where a key holds something that is not ours. Raises `StoreError`.
        """

        def once_more(key: bytes, command: Sequence[str | bytes | int]) -> Any:
            try:
                return self.command(*command, key=key)
            except WrongTypeError:
                return None

        return [
            once_more(*command) if isinstance(answer, redis.RedisError) else answer
            for command, answer in zip(commands, self._pipelined(commands), strict=True)
        ]

    def scripts(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """Run `script` on many keys, in few round trips unless it waits for replicas."""
        if script.writes and self._settings.wait_replicas:
            return [self.script(script, keys, *args) for keys, args in calls]
        commands = [
            (keys[0], ("EVALSHA", script.digest, len(keys), *keys, *args)) for keys, args in calls
        ]
        return [
            self.script(script, keys, *args) if isinstance(answer, redis.RedisError) else answer
            for (keys, args), answer in zip(calls, self._pipelined(commands), strict=True)
        ]

    def _pipelined(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers. One that is an exception has done nothing: send it by itself."""
        answers: list[Any] = [None] * len(commands)
        if not commands:
            return answers
        keys = [key for key, _ in commands]
        for node, numbers in self._ask(keys[0], partial(nodes.by_node, keys)).items():
            its = [commands[number][1] for number in numbers]
            found = self._ask_node(node, partial(nodes.pipelined, commands=its))
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer
        return answers

    def scan(self, pattern: str) -> Iterator[list[bytes]]:
        """Yield the keys that `pattern` matches, page by page, of all masters."""
        for node in self._ask(b"", nodes.masters):
            cursor = 0
            while True:
                page = partial(nodes.scan_at, cursor=cursor, pattern=pattern)
                cursor, keys = self._ask_node(node, page)
                yield keys
                if not cursor:
                    break

    def policies(self) -> set[str]:
        """Return what the masters do when they are full; nothing of those that don't say."""
        return self._ask(b"", nodes.policies)

    def connections(self) -> Connections | None:
        """Return how many connections this process has; None before the first one."""
        opened = self._opened
        if opened is None:
            return None
        pools = [node.connection_pool for node in nodes.masters(opened)]
        in_use = sum(len(pool._in_use_connections) for pool in pools)
        idle = sum(len(pool._available_connections) for pool in pools)
        limit = len(pools) * self._settings.max_connections
        return Connections(limit=limit, open=in_use + idle, in_use=in_use)

    def _ask(self, key: bytes, work: Callable[[Any], T]) -> T:
        """Call `work` with redis-py's client; `key` is in the slot that it is about."""
        forks.notice()
        return self._guarded(nodes.name_of(self._opened, key), lambda: work(self._client()))

    def _ask_node(self, node: Any, work: Callable[[Any], T]) -> T:
        """Call `work` with redis-py's client of one server."""
        name = nodes.name_at(node) if nodes.is_of_cluster(self._opened) else ""
        return self._guarded(name, lambda: work(node))

    def _guarded(self, name: str, work: Callable[[], T]) -> T:
        """Call `work`, which asks the server `name`, unless that is away."""
        breaker = self._breakers.setdefault(name, CircuitBreaker())
        probe = breaker.admit()
        try:
            with self._answers.of(name, breaker):
                answer = work()
        except redis.exceptions.NoScriptError:
            raise
        except redis.ReadOnlyError as exc:
            self._opened = None  # its address may by now be that of another server, the new master
            raise _failure(exc, breaker) from exc
        except _FAILURES as exc:
            if type(exc) is redis.ConnectionError:  # not a time-out: there is no time left
                nodes.look_again(self._opened)
            raise _failure(exc, breaker) from exc
        finally:
            if probe:
                breaker.release()
        breaker.reset()
        return answer

    def _client(self) -> Any:
        opened = self._opened
        return self._open() if opened is None else opened

    def _open(self) -> Any:
        """Connect; two threads may do so at once, and one of the two clients is then dropped."""
        urls, cluster = self._settings.urls, self._settings.cluster
        retry = Retry(NoBackoff(), 0)
        client: Any = redis.Redis.from_url(urls[0], retry=retry, **self._options)
        self._answers.watch(client)
        if len(urls) > 1 or cluster is True or (cluster == "auto" and nodes.is_cluster(client)):
            of_first = client.connection_pool.connection_kwargs
            client.close()
            named = ("username", "password", *(k for k in of_first if k.startswith("ssl_")))
            client = nodes.Cluster(
                self._answers,
                startup_nodes=[nodes.node_of(url) for url in urls],
                retry=retry,
                require_full_coverage=False,  # what is on the other masters is served
                ssl=urls[0].startswith("rediss:"),
                **{name: of_first[name] for name in named if name in of_first},
                **self._options,
            )
        self._opened = client
        return client


def _failure(exc: BaseException, breaker: CircuitBreaker) -> StoreError:
    reason = " ".join(str(exc).split()) or type(exc).__name__
    if isinstance(exc, redis.exceptions.MaxConnectionsError):
        return StoreBusyError(f"all connections of this process are in use: {reason}")
    if isinstance(exc, _AWAY):
        breaker.trip(reason)
    if "WRONGTYPE" in reason:
        return WrongTypeError(reason)
    return StoreError(reason)
