"""Which server of a cluster has a key, and what is sent to one server; by redis-py's client."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.cluster import PRIMARY, ClusterNode, RedisCluster
from redis.crc import key_slot

from .answers import Answers

PAGE = 250
"""About how many keys one answer to SCAN names: to write so many commands takes two milliseconds,
in which other threads of the process wait.
"""


class Cluster(RedisCluster):
    """Finds a node as well that was added since, and has no slot yet: a key may be there by now.

    redis-py asks for it when it is redirected (ASK), and fails where there is none.
    """

    def __init__(self, answers: Answers, **options: Any) -> None:
        self._answers = answers
        super().__init__(**options)

    def get_redis_connection(self, node: ClusterNode) -> Any:
        client = super().get_redis_connection(node)
        self._answers.watch(client)
        return client

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> Any:
        known = self.nodes_manager.get_node(host, port, node_name)
        if known is not None:
            return known
        name = node_name or f"{host}:{port}"
        address, _, number = name.rpartition(":")
        node: Any = ClusterNode
        return self.nodes_manager.nodes_cache.setdefault(name, node(address, int(number), PRIMARY))


def node_of(url: str) -> ClusterNode:
    parts = urlsplit(url)
    node: Any = ClusterNode  # it has no types
    made: ClusterNode = node(parts.hostname, parts.port or 6379)
    return made


def is_cluster(client: Any) -> bool:
    try:
        return bool(client.info("cluster").get("cluster_enabled"))
    except redis.exceptions.NoPermissionError:
        return False


def is_of_cluster(opened: Any) -> bool:
    return isinstance(opened, RedisCluster)


def name_of(opened: Any, key: bytes) -> str:
    """Return the name of the server that has `key`, for its circuit breaker."""
    if not is_of_cluster(opened):
        return ""
    try:
        return str(opened.nodes_manager.get_node_from_slot(key_slot(key)).name)
    except redis.exceptions.SlotNotCoveredError:
        return ""


def at(opened: Any, key: bytes) -> Any:
    """Return the client of the server that has `key`."""
    if not is_of_cluster(opened):
        return opened
    node = opened.nodes_manager.get_node_from_slot(key_slot(key))
    return opened.get_redis_connection(node)


def masters(opened: Any) -> list[Any]:
    if not is_of_cluster(opened):
        return [opened]
    return [opened.get_redis_connection(node) for node in opened.get_primaries()]


def policies(opened: Any) -> set[str]:
    found = set()
    for node in masters(opened):
        with suppress(redis.exceptions.NoPermissionError):
            found.add(node.info("memory").get("maxmemory_policy", "noeviction"))
    return found


def by_node(keys: Sequence[bytes], opened: Any) -> dict[Any, list[int]]:
    """Return the numbers of the keys that each server has."""
    nodes: dict[Any, list[int]] = {}
    for number, key in enumerate(keys):
        nodes.setdefault(at(opened, key), []).append(number)
    return nodes


def name_at(node: Any) -> str:
    """Return the name of the server of one of `masters`, as `name_of` has it."""
    kwargs = node.connection_pool.connection_kwargs
    return f"{kwargs.get('host')}:{kwargs.get('port')}"


def look_again(opened: Any) -> None:
    """Ask the cluster who its masters are, in case another one has taken over."""
    if is_of_cluster(opened):
        with suppress(redis.RedisError, redis.exceptions.RedisClusterException, OSError):
            opened.nodes_manager.initialize()


def follow(command: Sequence[Any], seconds: float, opened: Any) -> Any:
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


def write_and_wait(
    key: bytes, command: Sequence[Any], wait: Sequence[Any], seconds: float, opened: Any
) -> tuple[Any, int]:
    """Return the answers to both commands, which go over one connection, in one round trip."""
    node, asking = at(opened, key), False
    deadline = time.monotonic() + seconds
    while True:
        with node.pipeline(transaction=False) as pipeline:
            if asking:
                pipeline.execute_command("ASKING")
            pipeline.execute_command(*command)
            pipeline.execute_command(*wait)
            *_, answer, had = pipeline.execute(raise_on_error=False)
        if not isinstance(answer, Exception):
            if isinstance(had, Exception):  # a user who may not wait, or a master that is none now
                raise had
            return answer, had
        if isinstance(answer, redis.exceptions.MovedError):
            opened.nodes_manager.move_slot(answer)
            node, asking = at(opened, key), False
        elif isinstance(answer, redis.exceptions.AskError):
            target = opened.get_node(host=answer.host, port=answer.port)
            node, asking = opened.get_redis_connection(target), True
        elif isinstance(answer, redis.exceptions.TryAgainError):
            time.sleep(0.02)
        else:
            raise answer
        if time.monotonic() > deadline:
            raise answer


def scan_at(node: Any, cursor: int, pattern: str) -> tuple[int, list[bytes]]:
    cursor, keys = node.scan(cursor, pattern, PAGE)
    return cursor, keys


def pipelined(node: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the answers of one server, in one round trip; what it refuses is an exception."""
    with node.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    return answers
