"""A Redis Cluster on 127.0.0.1: three masters, and a replica of each."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import redis
from redis.crc import key_slot

from tests.harness import free_port
from tests.harness.observing import until
from tests.harness.redis import Redis

SLOTS = 16384
NODE_TIMEOUT = 1000  # milliseconds, after which a silent node is said to be gone


class Node(Redis):
    """One server of a cluster; it keeps what it has on disk."""

    def __init__(self, directory: Path) -> None:
        self.bus = free_port()
        options = {
            "cluster-enabled": "yes",
            "cluster-port": str(self.bus),
            "cluster-node-timeout": str(NODE_TIMEOUT),
            "cluster-require-full-coverage": "no",
            "cluster-config-file": f"nodes-{self.bus}.conf",
            "appendonly": "yes",
            "appenddirname": f"appendonly-{self.bus}",
            "dbfilename": f"{self.bus}.rdb",
            "repl-diskless-sync-delay": "0",
        }
        super().__init__(directory, *(part for k, v in options.items() for part in (f"--{k}", v)))

    @property
    def id(self) -> str:
        return str(self.run("CLUSTER", "MYID").decode())

    def cut_off(self) -> None:
        """Let no replica follow from now on; whoever else is connected notices nothing."""
        self.run("ACL", "SETUSER", "default", "-psync", "-sync")
        self.run("CLIENT", "KILL", "TYPE", "replica")

    def info(self) -> dict[str, Any]:
        with redis.Redis(port=self.port) as client:
            found: dict[str, Any] = client.info()
            return found


class Cluster:
    """`masters`, and `replicas` of these in the same order: three and three, or as many as said."""

    def __init__(self, directory: Path, masters: int = 3, replicas: int = 3) -> None:
        self.nodes = [Node(directory) for _ in range(masters + replicas)]
        self.masters, self.replicas = self.nodes[:masters], self.nodes[masters:]
        self._exits = ExitStack()
        self.still = threading.Lock()
        """Held while a slot is moved: take it to count keys, some of which are in two places."""

    @property
    def url(self) -> str:
        return " ".join(f"redis://127.0.0.1:{node.port}" for node in self.nodes)

    def create_user(self, name: str) -> str:
        """Let a user with a password do everything, on all nodes; return the URLs."""
        for node in self.nodes:
            node.create_user(name)
        return self.url.replace("redis://", f"redis://{name}:secret@")

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            for node in self.nodes:
                exits.enter_context(node.start())
            self._form()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exits.close()

    def _form(self) -> None:
        first = self.nodes[0]
        for number, node in enumerate(self.masters):
            start, end = (SLOTS * n // len(self.masters) for n in (number, number + 1))
            node.run("CLUSTER", "ADDSLOTSRANGE", str(start), str(end - 1))
        for node in self.nodes[1:]:
            first.run("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(node.bus))
        for master, replica in zip(self.masters, self.replicas, strict=False):
            assert until(lambda m=master, r=replica: m.id in r.run("CLUSTER", "NODES").decode())  # type: ignore[misc]
            replica.run("CLUSTER", "REPLICATE", master.id)
        assert until(self.is_whole)

    def is_whole(self) -> bool:
        """Whether all nodes agree on who has which slot, and all replicas follow."""
        for node in self.nodes:
            told = node.run("CLUSTER", "INFO") if node.running else b""
            if b"cluster_slots_ok:16384" not in told or b"cluster_state:ok" not in told:
                return False
            state = node.info()
            if state["role"] == "slave" and state["master_link_status"] != "up":
                return False
        roles = [node.info()["role"] for node in self.nodes]
        return roles.count("master") == len(self.masters)

    def move_slots(self, stop: threading.Event) -> int:
        """Move slots between the masters, one by one, as an operator's tool does; return how many.

        Those of random keys, since most slots have none.
        """
        masters = [node for node in self.nodes if node.info()["role"] == "master"]
        moved = 0
        while not stop.is_set():
            for number, source in enumerate(masters):
                if key := source.run("RANDOMKEY"):
                    target = masters[(number + 1) % 3]
                    with self.still:
                        self.move(key_slot(key), source, target, masters)
                    moved += 1
        return moved

    def join(self, node: Node) -> None:
        """Let a further node, which has no slots, be one of the cluster; it is not started here."""
        self.nodes[0].run("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(node.bus))
        assert until(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"))
        for each in self.nodes:
            assert until(lambda each=each: node.id in each.run("CLUSTER", "NODES").decode())  # type: ignore[misc]

    def fail_over(self, master: Node) -> Node:
        """Kill a master, and return the one that takes its place."""
        replica = self.replica_of(master)
        master.kill()
        assert until(lambda: replica.info()["role"] == "master")
        return replica

    def replica_of(self, master: Node) -> Node:
        """Return the replica of a master, as it is now."""
        return next(
            node
            for node in self.nodes
            if node.running and node.info().get("master_port") == master.port
        )

    def flush(self) -> None:
        """Remove all keys."""
        for node in self.nodes:
            if node.info()["role"] == "master":
                node.run("FLUSHALL")

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """Begin to move a slot; no key moves yet."""
        target.run("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source.id)
        source.run("CLUSTER", "SETSLOT", str(slot), "MIGRATING", target.id)

    def move(self, slot: int, source: Node, target: Node, masters: list[Node]) -> None:
        number = str(slot)
        self.begin_move(slot, source, target)
        while keys := source.run("CLUSTER", "GETKEYSINSLOT", number, "10"):
            where = ("127.0.0.1", str(target.port), "", "0", "5000")
            source.run("MIGRATE", *where, "KEYS", *keys)
        for node in (target, source, *masters):
            node.run("CLUSTER", "SETSLOT", number, "NODE", target.id)

    @contextmanager
    def resharding(self) -> Iterator[list[int]]:
        """Move slots meanwhile; the list has how many were moved, at the end."""
        stop, moved = threading.Event(), list[int]()
        thread = threading.Thread(target=lambda: moved.append(self.move_slots(stop)))
        thread.start()
        try:
            yield moved
        finally:
            stop.set()
            thread.join()
