"""The connections to one server, or to all masters of a cluster, through redis-py.

redis-py follows a cluster's redirections (MOVED, ASK, TRYAGAIN): these say that nothing was done.
It is told to try nothing else again: when a connection dies under a script, nobody knows whether
the script has run. That is a `StoreError`, and what may be tried again is up to the caller.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.retry import Retry

from .. import forks
from ..breaker import CircuitBreaker
from ..store import Connections, StoreBusyError, StoreError
from .scripts import Script
from .settings import ValkeySettings

T = TypeVar("T")

PAGE = 1000
"""About how many keys one answer to SCAN names."""
_FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)
_AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.ClusterError,
    redis.exceptions.RedisClusterException,
    OSError,
)


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
        return self._ask(key, partial(_follow, command, 0.8 * self._settings.timeout))

    def write(self, *command: str | bytes | int, key: bytes) -> Any:
        """Send a command that writes `key`, and wait for as many replicas as must have it."""
        replicas = self._settings.wait_replicas
        if not replicas:
            return self.command(*command, key=key)
        wait = ("WAIT", replicas, 500 * self._settings.timeout)  # milliseconds
        seconds = 0.8 * self._settings.timeout
        answer, had = self._ask(key, partial(_write_and_wait, key, command, wait, seconds))
        if had < replicas:
            raise StoreError(f"{had} replicas have the write in time, and {replicas} must have it")
        return answer

    def read(self, keys: Sequence[bytes], size: int) -> list[bytes | None]:
        """Return the first `size` bytes of each value, None for none, in few round trips."""
        if not keys:
            return []
        found: dict[bytes, Any] = {}
        for node, its in self._ask(keys[0], partial(_by_node, keys)).items():
            found |= self._ask(its[0], partial(_read_at, node, its, size))
        for key, value in found.items():
            if isinstance(value, redis.RedisError):  # it is being moved to another node
                found[key] = self.command("GETRANGE", key, 0, size - 1, key=key)
        return [found[key] or None for key in keys]

    def scan(self, pattern: str) -> Iterator[list[bytes]]:
        """Yield the keys that `pattern` matches, page by page, of all masters."""
        for node in self._ask(b"", _masters):
            cursor = 0
            while True:
                cursor, keys = self._ask(b"", partial(_scan_at, node, cursor, pattern))
                yield keys
                if not cursor:
                    break

    def policies(self) -> set[str]:
        """Return what the masters do when they are full; nothing of those that don't say."""
        return self._ask(b"", _policies)

    def connections(self) -> Connections | None:
        """Return how many connections this process has; None before the first one."""
        opened = self._opened
        if opened is None:
            return None
        pools = [node.connection_pool for node in _masters(opened)]
        in_use = sum(len(pool._in_use_connections) for pool in pools)
        idle = sum(len(pool._available_connections) for pool in pools)
        limit = len(pools) * self._settings.max_connections
        return Connections(limit=limit, open=in_use + idle, in_use=in_use)

    def _ask(self, key: bytes, work: Callable[[Any], T]) -> T:
        """Call `work` with redis-py's client; `key` is in the slot that it is about."""
        forks.notice()
        opened = self._opened
        breaker = self._breakers.setdefault(_name_of(opened, key), CircuitBreaker())
        probe = breaker.admit()
        try:
            answer = work(self._open() if opened is None else opened)
        except redis.exceptions.NoScriptError:
            raise
        except _FAILURES as exc:
            raise _failure(exc, breaker) from exc
        finally:
            if probe:
                breaker.release()
        breaker.reset()
        return answer

    def _open(self) -> Any:
        """Connect; two threads may do so at once, and one of the two clients is then dropped."""
        urls, cluster = self._settings.urls, self._settings.cluster
        retry = Retry(NoBackoff(), 0)
        client: Any = redis.Redis.from_url(urls[0], retry=retry, **self._options)
        if len(urls) > 1 or cluster is True or (cluster == "auto" and _is_cluster(client)):
            of_first = client.connection_pool.connection_kwargs
            client.close()
            named = ("username", "password", *(k for k in of_first if k.startswith("ssl_")))
            client = RedisCluster(
                startup_nodes=[_node(url) for url in urls],
                retry=retry,
                require_full_coverage=False,  # what is on the other masters is served
                ssl=urls[0].startswith("rediss:"),
                **{name: of_first[name] for name in named if name in of_first},
                **self._options,
            )
        self._opened = client
        return client


def _node(url: str) -> ClusterNode:
    parts = urlsplit(url)
    node: Any = ClusterNode  # it has no types
    made: ClusterNode = node(parts.hostname, parts.port or 6379)
    return made


def _is_cluster(client: Any) -> bool:
    try:
        return bool(client.info("cluster").get("cluster_enabled"))
    except redis.exceptions.NoPermissionError:
        return False


def _is_of_cluster(opened: Any) -> bool:
    return isinstance(opened, RedisCluster)


def _name_of(opened: Any, key: bytes) -> str:
    """Return the name of the server that has `key`, for its circuit breaker."""
    if not _is_of_cluster(opened):
        return ""
    try:
        return str(opened.nodes_manager.get_node_from_slot(key_slot(key)).name)
    except redis.exceptions.SlotNotCoveredError:
        return ""


def _at(opened: Any, key: bytes) -> Any:
    """Return the client of the server that has `key`."""
    if not _is_of_cluster(opened):
        return opened
    node = opened.nodes_manager.get_node_from_slot(key_slot(key))
    return opened.get_redis_connection(node)


def _masters(opened: Any) -> list[Any]:
    if not _is_of_cluster(opened):
        return [opened]
    return [opened.get_redis_connection(node) for node in opened.get_primaries()]


def _policies(opened: Any) -> set[str]:
    found = set()
    for node in _masters(opened):
        with suppress(redis.exceptions.NoPermissionError):
            found.add(node.info("memory").get("maxmemory_policy", "noeviction"))
    return found


def _by_node(keys: Sequence[bytes], opened: Any) -> dict[Any, list[bytes]]:
    nodes: dict[Any, list[bytes]] = {}
    for key in keys:
        nodes.setdefault(_at(opened, key), []).append(key)
    return nodes


def _follow(command: Sequence[Any], seconds: float, opened: Any) -> Any:
    """Return the answer to `command`, for which redis-py follows the redirections.

    It gives up after some, none of which has done anything: they may go on while a slot is moved.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return opened.execute_command(*command)
        except redis.exceptions.ClusterError as exc:
            if type(exc) is not redis.exceptions.ClusterError or time.monotonic() > deadline:
                raise


def _write_and_wait(
    key: bytes, command: Sequence[Any], wait: Sequence[Any], seconds: float, opened: Any
) -> tuple[Any, int]:
    """Return the answers to both commands, which go over one connection, in one round trip."""
    node, asking = _at(opened, key), False
    deadline = time.monotonic() + seconds
    while True:
        with node.pipeline(transaction=False) as pipeline:
            if asking:
                pipeline.execute_command("ASKING")
            pipeline.execute_command(*command)
            pipeline.execute_command(*wait)
            *_, answer, had = pipeline.execute(raise_on_error=False)
        if not isinstance(answer, Exception):
            return answer, had
        if isinstance(answer, redis.exceptions.MovedError):
            opened.nodes_manager.move_slot(answer)
            node, asking = _at(opened, key), False
        elif isinstance(answer, redis.exceptions.AskError):
            target = opened.get_node(host=answer.host, port=answer.port)
            node, asking = opened.get_redis_connection(target), True
        elif isinstance(answer, redis.exceptions.TryAgainError):
            time.sleep(0.02)
        else:
            raise answer
        if time.monotonic() > deadline:
            raise answer


def _scan_at(node: Any, cursor: int, pattern: str, _: Any) -> tuple[int, list[bytes]]:
    cursor, keys = node.scan(cursor, pattern, PAGE)
    return cursor, keys


def _read_at(node: Any, keys: Sequence[bytes], size: int, _: Any) -> dict[bytes, Any]:
    with node.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.getrange(key, 0, size - 1)
        return dict(zip(keys, pipeline.execute(raise_on_error=False), strict=True))


def _failure(exc: BaseException, breaker: CircuitBreaker) -> StoreError:
    reason = " ".join(str(exc).split()) or type(exc).__name__
    if isinstance(exc, redis.exceptions.MaxConnectionsError):
        return StoreBusyError(f"all connections of this process are in use: {reason}")
    if isinstance(exc, _AWAY):
        breaker.trip(reason)
    return StoreError(reason)
