"""What is soaked: processes of production.ini behind nginx, on a primary with a standby."""

import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from tests.harness import Missing, free_port
from tests.harness.commands import SCRIPT
from tests.harness.nginx import start_nginx
from tests.harness.observing import until
from tests.harness.postgres import Postgres, bindirs
from tests.harness.process import ServerError
from tests.harness.production import HOSTS, SECRET, production_ini
from tests.harness.pserve import Pserve
from tests.harness.standby import Standby
from tests.soak.leaks import BACKENDS, LOCKS, POOL, Quiet, Usage, usage_of
from tests.soak.ledger import End

PROCESSES = 3
PRUNE_INTERVAL = 2  # seconds
EXPIRED = "expired-"
SEED_EXPIRED = f"""
INSERT INTO sessions (id, token_hash, payload, version, created_at, seen_at, expires_at)
SELECT '{EXPIRED}' || gen_random_uuid(), '\\x00', '{{"history": ["gone"]}}', 1,
       now() - interval '1 hour', now() - interval '1 hour', now() - interval '1 minute'
FROM generate_series(1, %s)
"""
HISTORIES = f"""
SELECT id, coalesce(payload->'history', '[]'::json) FROM sessions WHERE id NOT LIKE '{EXPIRED}%'
"""


class Worker:
    """One process of the site at one port, started anew with the environment of that moment."""

    def __init__(self, config: Path, directory: Path) -> None:
        self._config = config
        self._directory = directory
        self.port = free_port()
        self.lock = threading.Lock()
        """Held while the process is ended and started."""
        self.samples: list[Usage] = []
        """What the process has used from its start on; empty while it is not there."""
        self.ends: list[End] = []
        self.server = self._made({})

    def start(self, env: Mapping[str, str]) -> None:
        self.server = self._made(env)
        self.server.start()
        self.samples = [usage_of(self.server.pid)]

    def end(self, number: int) -> None:
        """End it by a signal; it is killed if it does not obey."""
        self.samples = []
        began = time.monotonic()
        if number == signal.SIGKILL:
            self.server.kill()
        else:
            self.server.stop_signal = signal.Signals(number)
            self.server.stop()
        name = signal.Signals(number).name
        self.ends.append(End(self.port, name, began, time.monotonic()))

    def sample(self) -> None:
        if self.samples:
            with suppress(psutil.Error, ServerError):  # it may be ending
                self.samples.append(usage_of(self.server.pid))

    def _made(self, env: Mapping[str, str]) -> Pserve:
        args = ["--server-name=worker", f"http_port={self.port}"]
        return Pserve(self._config, args, env, self._directory)


class Deployment:
    """All of it, in a directory of its own; leaving the `with` block ends it."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.secret = SECRET
        timeout = 1200 + 3 * int(seconds)  # no session expires in the run
        lifetime = 43200 + timeout
        self.config = production_ini(
            directory,
            "sessionsite.history_limit = 1000",
            "sessionsite.history_bytes = none",
            f"session.prune_interval = {PRUNE_INTERVAL}",
            f"session.timeout = {timeout}",
            f"session.lifetime = {lifetime}",
            f"session.max_age = {lifetime}",
            f"session.sqlalchemy.pool_size = {POOL}",
        )
        self._exits = ExitStack()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        if not bindirs():
            raise Missing("PostgreSQL", "apt install postgresql")
        self.primary = Postgres(self.directory, bindirs()[0])
        self._exits.callback(lambda: self.primary.close())
        self.primary.start()
        self.database = self.primary.create_database("soak").rpartition("/")[2]
        self.standby = Standby(self.primary, self.directory)
        self._exits.callback(lambda: self.standby.close())
        ports = [self.primary.port, self.standby.port]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        user = f"{quote(self.primary.user)}:{quote(self.primary.password)}"
        self.url = f"postgresql://{user}@{hosts}/{self.database}?target_session_attrs=read-write"
        self.standby.start()
        self.standby.make_synchronous()
        self.run("init-db")
        self.workers = [Worker(self.config, self.directory) for _ in range(PROCESSES)]
        for worker in self.workers:
            self._exits.callback(worker.end, signal.SIGINT)
            worker.start(self.env)
        (self.directory / "nginx").mkdir()
        ports = [worker.port for worker in self.workers]
        self.nginx = self._exits.enter_context(start_nginx(self.directory / "nginx", ports))

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that starts now."""
        return {"SESSION_SECRET": self.secret, "SITE_HOSTS": HOSTS, "DATABASE_URL": self.url}

    def run(self, command: str) -> None:
        """Run a command of the site's. Raises CalledProcessError, with what it printed."""
        line = [SCRIPT, command, str(self.config)]
        subprocess.run(line, env=self.env, capture_output=True, check=True, text=True, timeout=300)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection to the site's database, wherever the primary is now."""
        return psycopg.connect(self.url, autocommit=True, connect_timeout=10)

    def fail_over(self) -> None:
        """Put the standby in the place of the primary, which is gone, and begin a new standby."""
        old = self.primary
        self.standby.promote()
        self.primary = self.standby
        old.close()
        self.standby = Standby(self.primary, self.directory, old.port)
        self.standby.start()

    def rows(self) -> dict[str, list[str]]:
        """The history of every row, newest first, by the session's id."""
        with self.connect() as connection:
            return dict(connection.execute(HISTORIES).fetchall())

    def sample(self) -> None:
        for worker in self.workers:
            worker.sample()

    def quiet(self) -> Quiet:
        """What is there now, all processes still running."""
        self.sample()
        with self.connect() as connection:
            return Quiet(
                backends=connection.execute(BACKENDS).fetchall(),
                locks=connection.execute(LOCKS).fetchall(),
                processes={worker.server.pid: worker.samples for worker in self.workers},
                expired=self.expired(),
            )

    def stop_processes(self) -> list[tuple[int, str]]:
        """End all processes; return the backends that are left some seconds later."""
        for worker in self.workers:
            worker.end(signal.SIGINT)
        with self.connect() as connection:

            def left() -> list[tuple[int, str]]:
                return connection.execute(BACKENDS).fetchall()

            until(lambda: not left(), 10)
            return left()

    def expired(self) -> int:
        with self.connect() as connection:
            counted = f"SELECT count(*) FROM sessions WHERE id LIKE '{EXPIRED}%'"
            (count,) = connection.execute(counted).fetchone() or (0,)
        return int(count)

    def close(self) -> None:
        self._exits.close()

    def __enter__(self) -> "Deployment":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
