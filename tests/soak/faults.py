"""What goes wrong in the soak: each kind of fault, and when which of them comes."""

import os
import random
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.soak.deployment import SEED_EXPIRED, Deployment

PAUSE = (0.5, 2.0)  # seconds between the end of one fault and the next
AWAY = (0.5, 2.0)  # seconds that a standby is away, or that a server is frozen
LAG = 8  # seconds: more than session.sql.timeout, so that requests give up a commit that waits
EXPIRED_ROWS = 1500
ATTEMPTS = 10  # of a command that the faults of others may cut off


@dataclass(frozen=True)
class Event:
    kind: str
    began: float
    ended: float
    beside: bool
    """Whether other faults went on meanwhile."""


class Faults:
    """Befalls a deployment with faults. `seed` settles which come, in which order."""

    def __init__(self, site: Deployment, seed: int, replace_visitors: Callable[[], None]) -> None:
        self._site = site
        self._replace_visitors = replace_visitors
        self._random = random.Random(seed)
        self._random_beside = random.Random(seed + 1)  # of another thread
        self.events: list[Event] = []
        self._kinds: dict[str, Callable[[], None]] = {
            "process killed (SIGKILL)": lambda: self._restart(signal.SIGKILL),
            "process stopped (SIGTERM)": lambda: self._restart(signal.SIGTERM),
            "process stopped (SIGINT)": lambda: self._restart(signal.SIGINT),
            "backends terminated": self._terminate_backends,
            "PostgreSQL restarted": self._restart_primary,
            "PostgreSQL crashed": self._crash_primary,
            "PostgreSQL frozen": self._freeze_primary,
            "standby away": self._restart_standby,
            "failover": self._fail_over,
            "failover, commits waiting": self._fail_over_while_commits_wait,
            "nginx reloaded": self._reload_nginx,
            "nginx restarted": self._restart_nginx,
        }
        # These take long, and go on beside the others.
        self._beside: dict[str, Callable[[], None]] = {
            "secret rotated": self._rotate_secret,
            "upgrade-db": self._upgrade,
            "expired rows seeded": self._seed_expired,
        }

    @property
    def kinds(self) -> list[str]:
        return [*self._kinds, *self._beside]

    def run(self, seconds: float) -> None:
        """Go on for so long, and until each kind has come once. Raises what a fault has raised."""
        stop, errors = threading.Event(), list[BaseException]()
        beside = threading.Thread(target=self._run_beside, args=(stop, seconds, errors))
        beside.start()
        try:
            deadline = time.monotonic() + seconds
            left = self._shuffled(self._kinds)
            while left or time.monotonic() < deadline:
                if errors:
                    break
                kind = left.pop() if left else self._random.choice(list(self._kinds))
                self._befall(kind)
                time.sleep(self._random.uniform(*PAUSE))
        finally:
            stop.set()
            beside.join()
        if errors:
            raise errors[0]

    def _run_beside(
        self, stop: threading.Event, seconds: float, errors: list[BaseException]
    ) -> None:
        """Seed expired rows all the time; rotate early, so that processes grow old afterwards."""
        choose = self._random_beside
        late = time.monotonic() + 0.4 * seconds
        left = ["upgrade-db", "secret rotated"]
        try:
            while not stop.is_set() or left:
                work = ["expired rows seeded"]
                if left:
                    work.append(left.pop())
                elif time.monotonic() < late:
                    work.append(choose.choice(["upgrade-db", "secret rotated"]))
                elif choose.random() < 0.3:
                    work.append("upgrade-db")
                for kind in work:
                    self._befall(kind)
                stop.wait(choose.uniform(*PAUSE))
        except BaseException as exc:
            errors.append(exc)

    def _befall(self, kind: str) -> None:
        began, beside = time.monotonic(), kind in self._beside
        (self._beside if beside else self._kinds)[kind]()
        self.events.append(Event(kind, began, time.monotonic(), beside))
        with Path(self._site.directory, "events.txt").open("a") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {kind}\n")  # beside the logs of all servers

    def _shuffled(self, kinds: dict[str, Callable[[], None]]) -> list[str]:
        return self._random.sample(list(kinds), len(kinds))

    # Processes. The first one is spared: what leaks is seen in a process that grows old.

    def _restart(self, number: int) -> None:
        worker = self._random.choice(self._site.workers[1:])
        with worker.lock:
            worker.end(number)
            worker.start(self._site.env)

    def _rotate_secret(self) -> None:
        old, new = self._site.secret, secrets.token_urlsafe(32)
        for step in (f"{old} {new}", f"{new} {old}", new):
            if step == new:  # "session.lifetime later": visitors with a cookie of the old one go
                self._replace_visitors()
            self._site.secret = step
            for worker in self._site.workers:
                with worker.lock:
                    worker.end(signal.SIGINT)
                    worker.start(self._site.env)

    # PostgreSQL.

    def _terminate_backends(self) -> None:
        with self._site.connect() as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchall()
            for (pid,) in self._random.sample(found, (len(found) + 1) // 2):
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    def _restart_primary(self) -> None:
        self._site.primary.stop()
        self._site.primary.start()
        self._site.standby.make_synchronous()

    def _crash_primary(self) -> None:
        self._site.primary.kill()
        self._site.primary.start()
        self._site.standby.make_synchronous()

    def _freeze_primary(self) -> None:
        self._site.primary.pause()
        self._while_away()
        self._site.primary.resume()

    def _restart_standby(self) -> None:
        self._site.standby.stop()
        self._while_away()
        self._site.standby.start()
        self._site.standby.make_synchronous()

    def _fail_over(self) -> None:
        self._site.primary.kill()
        self._site.fail_over()
        self._site.standby.make_synchronous()

    def _fail_over_while_commits_wait(self) -> None:
        """The primary dies with commits that the standby has not got: none was answered 200."""
        self._site.standby.stop()  # what was sent to a frozen one would reach it still
        time.sleep(LAG)
        self._site.primary.kill()
        self._site.standby.start()
        self._site.fail_over()
        self._site.standby.make_synchronous()

    def _while_away(self) -> None:
        time.sleep(self._random.uniform(*AWAY))

    def _seed_expired(self) -> None:
        try:
            with self._site.connect() as connection:
                connection.execute(SEED_EXPIRED, [EXPIRED_ROWS])
        except psycopg.OperationalError:
            pass  # another fault is under way

    def _upgrade(self) -> None:
        """Make the table look older than it is, and have it upgraded."""
        for attempt in range(ATTEMPTS):
            try:
                with self._site.connect() as connection:
                    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS sessions_owner")
                    connection.execute("UPDATE sessions_version SET version_num = '0001'")
                self._site.run("upgrade-db")
                return
            except (psycopg.OperationalError, subprocess.CalledProcessError) as exc:
                if attempt == ATTEMPTS - 1:
                    raise RuntimeError(f"upgrade-db: {getattr(exc, 'stderr', exc)}") from exc
                time.sleep(self._random_beside.uniform(*PAUSE))

    # nginx.

    def _reload_nginx(self) -> None:
        os.kill(self._site.nginx.pid, signal.SIGHUP)

    def _restart_nginx(self) -> None:
        self._site.nginx.stop()
        self._site.nginx.start()
