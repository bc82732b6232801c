"""Who takes part: how each is installed, given its store, and started in production mode."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks import install
from tests.harness import free_port, listening
from tests.harness.process import Server

SECRET = "5ecre7-0f-the-benchmark-that-signs-nothing-else"  # noqa: S105  # it is no secret
PRODUCTION_INI = install.ROOT / "production.ini"


class Site(Server):
    """One process of a contestant, on 127.0.0.1."""

    def __init__(
        self, command: Sequence[str | Path], port: int, log: Path, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.port = port
        super().__init__(command, log, env={"PATH": os.environ["PATH"], **env}, cwd=cwd)

    def ready(self) -> bool:
        return listening(self.port)


@dataclass(frozen=True, slots=True)
class Contestant:
    key: str
    name: str
    store: str | None
    """Where its sessions are: "postgresql", "redis", or None where it has none."""
    program: Callable[[], Path]
    """Installs it; returns the interpreter that runs it."""
    versions: Callable[[Path], dict[str, str]]
    arguments: Callable[[int], list[str]]
    """What the interpreter is told, to listen on a port."""
    cwd: Path = install.PEERS
    prepare: Callable[[Path, Mapping[str, str]], None] | None = None
    """Makes its table, in the environment that it will run in."""
    pinned: bool = True
    """Each process keeps to a core of its own: threads that share a GIL need less CPU on one."""

    def environment(self, store_url: str) -> dict[str, str]:
        """What the process is told of its store, in the names that each kind of peer reads."""
        common = {
            "NODE_ENV": "production",
            "PYTHONPATH": str(install.PEERS),
            "SESSION_SECRET": SECRET,
        }
        if self.store != "postgresql":
            return common | ({"REDIS_URL": store_url} if self.store == "redis" else {})
        url = make_url(store_url)
        scheme = "postgresql+psycopg" if self.key == "flask" else "postgresql"
        database_url = url.set(drivername=scheme).render_as_string(hide_password=False)
        return common | {
            "DATABASE_URL": database_url,
            "PGHOST": url.host or "",
            "PGPORT": str(url.port),
            "PGDATABASE": url.database or "",
            "PGUSER": url.username or "",
            "PGPASSWORD": url.password or "",
        }

    def start(
        self, interpreter: Path, store_url: str, directory: Path, prefix: Sequence[str]
    ) -> Site:
        """One process that answers, its log in `directory`."""
        port = free_port()
        command = [*prefix, str(interpreter), *self.arguments(port)]
        env = self.environment(store_url)
        site = Site(command, port, directory / f"{self.key}-{port}.log", env, self.cwd)
        site.start()
        return site


def _waitress(app: str) -> Callable[[int], list[str]]:
    """As production.ini sets waitress up."""
    return lambda port: [
        "-m",
        "waitress",
        f"--listen=127.0.0.1:{port}",
        "--threads=4",
        "--send-bytes=18000",
        "--trusted-proxy=127.0.0.1",
        "--trusted-proxy-count=1",
        "--trusted-proxy-headers=x-forwarded-for x-forwarded-host x-forwarded-proto "
        "x-forwarded-port",
        "--clear-untrusted-proxy-headers",
        app,
    ]


def _pserve(config: Path, *options: str) -> Callable[[int], list[str]]:
    pserve = ["-m", "pyramid.scripts.pserve", *options, str(config)]
    return lambda port: [*pserve, f"http_port={port}"]


def _express_table(node: Path, env: Mapping[str, str]) -> None:
    table = install.EXPRESS / "node_modules" / "connect-pg-simple" / "table.sql"
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(table.read_text())


def _django_table(python: Path, env: Mapping[str, str]) -> None:
    command = [str(python), "-m", "django", "migrate", "--settings=django_site.settings", "-v0"]
    install.run(command, env={**os.environ, **env}, cwd=install.PEERS)


def _our_table(python: Path, env: Mapping[str, str]) -> None:
    sessionsite = python.parent / "sessionsite"
    install.run([sessionsite, "init-db", str(PRODUCTION_INI)], env={**os.environ, **env})


CONTESTANTS = (
    Contestant(
        "express",
        "Express, connect-pg-simple",
        "postgresql",
        install.express,
        install.node_versions,
        lambda port: ["app.js", str(port)],
        install.EXPRESS,
        _express_table,
        pinned=False,
    ),
    Contestant(
        "ours",
        "Pyramid, sessionsite (ours)",
        "postgresql",
        install.ours,
        install.python_versions,
        _pserve(PRODUCTION_INI, "--server-name=worker"),
        install.ROOT,
        _our_table,
    ),
    Contestant(
        "express-none",
        "Express, no session",
        None,
        install.express,
        install.node_versions,
        lambda port: ["app.js", str(port), "no-session"],
        install.EXPRESS,
        pinned=False,
    ),
    Contestant(
        "ours-none",
        "Pyramid, no session",
        None,
        install.ours,
        install.python_versions,
        _pserve(install.PEERS / "no_session.ini"),
    ),
    Contestant(
        "pyramid-redis",
        "Pyramid, pyramid_session_redis",
        "redis",
        lambda: install.python_peer("pyramid-redis"),
        install.python_versions,
        _pserve(install.PEERS / "pyramid_redis.ini"),
    ),
    Contestant(
        "django",
        "Django, db sessions",
        "postgresql",
        lambda: install.python_peer("django"),
        install.python_versions,
        _waitress("django_site.wsgi:app"),
        prepare=_django_table,
    ),
    Contestant(
        "flask",
        "Flask-Session, SQLAlchemy",
        "postgresql",
        lambda: install.python_peer("flask"),
        install.python_versions,
        _waitress("flask_site:app"),
    ),
)


def on_core(number: int) -> list[str]:
    """The command that keeps the one after it, process `number`, on a core."""
    cores = sorted(os.sched_getaffinity(0))  # a container need not have them all
    return [install.program("taskset", "util-linux"), "-c", str(cores[number % len(cores)])]
