"""The stacks: how each is installed, given its store, and started in production mode."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.interpreter import fastest
from benchmarks.peers import install
from benchmarks.peers.install import EXPRESS, PRODUCTION, ROOT
from tests.harness import free_port, listening
from tests.harness.process import Server

SECRET = "5ecre7-0f-the-benchmark-that-signs-nothing-else"  # noqa: S105  # it is no secret
THREADS = 4  # as in production.ini
# As production.ini sets waitress up.
WAITRESS = (
    "--send-bytes=18000",
    "--connection-limit=1000",
    "--trusted-proxy=127.0.0.1",
    "--trusted-proxy-count=1",
    "--trusted-proxy-headers=x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port",
    "--clear-untrusted-proxy-headers",
)


class Site(Server):
    """One process of a stack, on 127.0.0.1."""

    def __init__(
        self, command: Sequence[str | Path], port: int, log: Path, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.port = port
        super().__init__(command, log, env={"PATH": os.environ["PATH"], **env}, cwd=cwd)

    def ready(self) -> bool:
        return listening(self.port)


@dataclass(frozen=True, slots=True)
class Stack:
    key: str
    name: str
    home: str
    """What is installed for it: `express`, or the name of a virtualenv."""
    app: str = ""
    """What waitress serves; Express's own server knows that itself."""
    store: str | None = "postgresql"
    """Where its sessions are: "postgresql", "redis", or None where it has none."""
    table: str = ""

    @property
    def pinned(self) -> bool:
        """Whether each process has its own core, where threads that share a GIL need less CPU."""
        return self.home != "express"

    def interpreter(self, base: Path | None = None) -> Path:
        """What runs the stack, installed if need be; `base` is a Python that already has ours."""
        if self.home == "express":
            return install.express()
        if base and self.home == "sessionsite":
            return base
        return install.python(self.home, fastest()[0])

    def versions(self, interpreter: Path) -> dict[str, str]:
        if self.home == "express":
            return install.node_versions(interpreter)
        return install.python_versions(interpreter)

    def environment(self, store_url: str, threads: int = THREADS) -> dict[str, str]:
        """What the process is told of its store, in the names that each stack reads."""
        common = {
            "NODE_ENV": "production",
            "PYTHONPATH": str(ROOT),
            "SESSION_SECRET": SECRET,
            "THREADS": str(threads),
        }
        if self.store == "redis":
            return common | {"REDIS_URL": store_url}
        if self.store is None:
            return common
        url = make_url(store_url).set(drivername="postgresql")
        return common | {"DATABASE_URL": url.render_as_string(hide_password=False)}

    def prepare(self, interpreter: Path, store_url: str) -> None:
        """Make its table; Flask-Session makes its own."""
        env = {**os.environ, **self.environment(store_url)}
        if self.key == "express":
            table = EXPRESS / "node_modules" / "connect-pg-simple" / "table.sql"
            with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
                connection.execute(table.read_text())
        elif self.key == "django":
            settings = "--settings=benchmarks.peers.django_site.settings"
            install.run([interpreter, "-m", "django", "migrate", settings, "-v0"], env=env)
        elif self.key == "sessionsite":
            install.run([interpreter.parent / "sessionsite", "init-db", PRODUCTION], env=env)

    def start(
        self,
        interpreter: Path,
        store_url: str,
        directory: Path,
        *,
        prefix: Sequence[str] = (),
        threads: int = THREADS,
    ) -> Site:
        """One process that answers, its log in `directory`; `prefix` is what starts the command."""
        port = free_port()
        command = [*prefix, str(interpreter), *self._arguments(port, threads)]
        env = self.environment(store_url, threads)
        cwd = EXPRESS if self.home == "express" else ROOT
        return Site(command, port, directory / f"{self.key}-{port}.log", env, cwd).start()

    def _arguments(self, port: int, threads: int) -> list[str]:
        if self.home == "express":
            return ["app.js", str(port), *([] if self.store else ["no-session"])]
        if self.key == "sessionsite" and threads == THREADS:  # as its users serve it
            pserve = ["-m", "pyramid.scripts.pserve", "--server-name=worker"]
            return [*pserve, str(PRODUCTION), f"http_port={port}"]
        listen = [f"--listen=127.0.0.1:{port}", f"--threads={threads}"]
        return ["-m", "waitress", *listen, *WAITRESS, f"benchmarks.peers.{self.app}:app"]


STACKS = (
    Stack("express", "Express, connect-pg-simple", "express", table="session"),
    Stack(
        "sessionsite",
        "Pyramid, sessionsite (ours)",
        "sessionsite",
        "sessionsite_races",
        table="sessions",
    ),
    Stack("express-none", "Express, no session", "express", store=None),
    Stack("sessionsite-none", "Pyramid, no session", "sessionsite", "no_session", store=None),
    Stack(
        "pyramid-redis",
        "Pyramid, pyramid_session_redis",
        "pyramid_redis",
        "pyramid_redis",
        store="redis",
    ),
    Stack("django", "Django, db sessions", "django", "django_site.wsgi", table="django_session"),
    Stack("flask", "Flask-Session, SQLAlchemy", "flask", "flask_site", table="sessions"),
)


def on_core(number: int) -> list[str]:
    """The command that keeps the one after it, process `number`, on a core."""
    cores = sorted(os.sched_getaffinity(0))  # a container need not have them all
    return [install.program("taskset", "util-linux"), "-c", str(cores[number % len(cores)])]
