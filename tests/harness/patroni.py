"""PostgreSQL with failover: three nodes of Patroni, with etcd, and deploy/patroni.yml as it is."""

import json
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests import ROOT
from tests.harness import Missing, free_port
from tests.harness.observing import until
from tests.harness.postgres import bindirs
from tests.harness.process import Server, ServerError, family, tell_reaper

SETTINGS = ROOT / "deploy" / "patroni.yml"
NODES = ("a", "b", "c")


class Etcd(Server):
    """One of three members of etcd, which agree on who is the primary."""

    def __init__(self, name: str, peers: Mapping[str, int], log: Path, **options: Any) -> None:
        self.port = free_port()
        self._client = f"http://127.0.0.1:{self.port}"
        peer = f"http://127.0.0.1:{peers[name]}"
        command = ["etcd", "--name", name, "--data-dir", f"etcd-{name}", "--logger", "zap"]
        command += ["--listen-client-urls", self._client, "--advertise-client-urls", self._client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        cluster = ",".join(f"{each}=http://127.0.0.1:{port}" for each, port in peers.items())
        command += ["--initial-cluster", cluster, "--initial-cluster-state", "new"]
        # By etcd's newer protocol Patroni 3.0.2 gives the lock back to a primary that hung.
        command += ["--enable-v2=true"]
        super().__init__(command, log, **options)

    def ready(self) -> bool:
        """Whether it runs: it answers only once two of the three do."""
        return self.running

    @property
    def is_healthy(self) -> bool:
        return _status(f"{self._client}/health") == 200


class Node(Server):
    """One Patroni, and the PostgreSQL that it starts, which is no child of it."""

    def __init__(
        self, name: str, home: Path, log: Path, env: dict[str, str], **options: Any
    ) -> None:
        self.name, self.port, self._rest = name, free_port(), free_port()
        self.data = home / name
        own = {
            "PATRONI_NAME": name,
            "PATRONI_POSTGRESQL_LISTEN": f"127.0.0.1:{self.port}",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"127.0.0.1:{self.port}",
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.data),
            "PATRONI_POSTGRESQL_PGPASS": str(home / f"pgpass-{name}"),
            "PATRONI_RESTAPI_LISTEN": f"127.0.0.1:{self._rest}",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"127.0.0.1:{self._rest}",
        }
        super().__init__(["patroni", str(home / "patroni.yml")], log, env=env | own, **options)

    def ready(self) -> bool:
        """Whether its PostgreSQL serves, as a primary or as a standby."""
        return self.answers("health")

    def answers(self, question: str) -> bool:
        """Whether Patroni says yes: `primary`, `synchronous`, `replica` and the like."""
        return _status(f"http://127.0.0.1:{self._rest}/{question}") == 200

    @property
    def postmaster(self) -> list[str]:
        """The lines of postmaster.pid; none where PostgreSQL has ended in good order."""
        with suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def switch_over(self) -> None:
        """Hand the primary's role to the synchronous standby, as `patronictl switchover` does."""
        body = json.dumps({"leader": self.name}).encode()
        url = f"http://127.0.0.1:{self._rest}/switchover"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=60).close()

    def kill_postgres(self) -> None:
        """SIGKILL for PostgreSQL alone: Patroni stays, and has to see it."""
        lines = self.postmaster
        os.kill(int(lines[0]), signal.SIGKILL)
        _free_memory(lines)

    def freeze(self) -> None:
        """SIGSTOP for both, as where the host hangs: its kernel goes on to accept connections."""
        self.pause()
        _send_all(signal.SIGSTOP, int(self.postmaster[0]))

    def thaw(self) -> None:
        """Let both go on after `freeze`, PostgreSQL first: it does not know what has happened."""
        _send_all(signal.SIGCONT, int(self.postmaster[0]))
        self.resume()

    def kill(self) -> None:
        """SIGKILL for both, as where the host loses power. Stopped already: fine."""
        lines = self.postmaster
        super().kill()
        if lines:
            with suppress(ProcessLookupError):
                os.kill(int(lines[0]), signal.SIGKILL)
            _free_memory(lines)


class Patroni:
    """Three nodes and three members of etcd on 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        """`directory` takes the logs. Raises Missing, ServerError."""
        for program, package in (("patroni", "patroni"), ("etcd", "etcd-server")):
            if shutil.which(program) is None:
                raise Missing(program, f"apt install {package}")
        if not (found := bindirs()):
            raise Missing("PostgreSQL", "apt install postgresql")
        options: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._home = Path(tempfile.mkdtemp(prefix="patroni-", dir="/tmp" if options else None))
        tell_reaper(str(self._home), 0)
        shutil.copy(SETTINGS, self._home / "patroni.yml")
        if options:
            for path in (self._home, self._home / "patroni.yml"):
                os.chown(path, options["user"], options["group"])
        options["cwd"] = self._home
        base = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self._home)}
        peers = {name: free_port() for name in NODES}
        self.members = [
            Etcd(name, peers, directory / f"etcd-{name}.log", env=base, **options) for name in NODES
        ]
        self.password = secrets.token_hex(16)
        env = base | {
            "PATRONI_ETCD_HOSTS": ",".join(f"127.0.0.1:{each.port}" for each in self.members),
            "PATRONI_POSTGRESQL_BIN_DIR": str(found[0]),
            "PATRONI_SUPERUSER_PASSWORD": self.password,
            "PATRONI_REPLICATION_PASSWORD": secrets.token_hex(16),
            "PATRONI_REWIND_PASSWORD": secrets.token_hex(16),
        }
        self.nodes = [
            Node(name, self._home, directory / f"patroni-{name}.log", env, **options)
            for name in NODES
        ]

    def start(self) -> Self:
        """Make the cluster: a primary, and a standby whose confirmation its commits wait for."""
        for member in self.members:
            member.start()
        if not until(lambda: all(each.is_healthy for each in self.members), 60):
            raise ServerError(f"etcd does not agree:\n{self.members[0].output()[-2000:]}")
        for node in self.nodes:
            node.start(120)
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until every node that runs is up, and one of them confirms commits."""
        running = [node for node in self.nodes if node.running]

        def settled() -> bool:
            roles = [[n for n in running if n.answers(r)] for r in ("primary", "replica")]
            synchronous = any(node.answers("synchronous") for node in running)
            return [len(each) for each in roles] == [1, len(running) - 1] and synchronous

        if not until(settled, 120):
            logs = "\n".join(node.output()[-2000:] for node in self.nodes)
            raise ServerError(f"no primary with a synchronous standby:\n{logs}")

    @property
    def primary(self) -> Node:
        (primary,) = [node for node in self.nodes if node.running and node.answers("primary")]
        return primary

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """What `DATABASE_URL` is: all three, of which the one is asked that can be written."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        whom = f"{user}:{quote(password or self.password)}"
        return f"postgresql://{whom}@{hosts}/{database}?target_session_attrs=read-write"

    def create_database(self, name: str) -> str:
        """The URL of a new database, and of a role of the same name that owns it."""
        password = secrets.token_hex(16)
        new = sql.Identifier(name)
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=10) as connection:
            role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(role.format(new, sql.Literal(password)))
            connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(new))
        return self.url(name, name, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in (*self.nodes, *self.members):
            server.kill()
        shutil.rmtree(self._home)
        tell_reaper(str(self._home), None)


def start_patroni(directory: Path) -> Patroni:
    """A cluster that serves; its logs are in `directory`."""
    cluster = Patroni(directory)
    try:
        return cluster.start()
    except BaseException:
        cluster.__exit__()
        raise


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _send_all(number: int, pid: int) -> None:
    for each in family(pid):
        with suppress(ProcessLookupError):
            os.kill(each, number)


def _free_memory(postmaster: list[str]) -> None:
    """Give back the shared memory that a PostgreSQL leaves which was killed."""
    if len(postmaster) > 6 and (segment := re.fullmatch(r"\s*\d+\s+(\d+)", postmaster[6])):
        pid = int(postmaster[0])
        until(lambda: not Path(f"/proc/{pid}").exists(), 10)
        subprocess.run(["ipcrm", "-m", segment[1]], capture_output=True, check=False)
