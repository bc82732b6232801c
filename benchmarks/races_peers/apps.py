"""Installs and starts the four apps, each with a database of its own."""

import os
import secrets
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from benchmarks.races_peers.measure import App
from tests.harness import Missing, free_port, listening
from tests.harness.postgres import Postgres
from tests.harness.process import Server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VENV = HERE.parent / ".venv-races"
EXPRESS = HERE / "express"
THREADS = 110  # more than the requests that any race has in flight
EXPRESS_NAME = "Express, connect-pg-simple"
TABLES = {
    EXPRESS_NAME: "session",
    "Django": "django_session",
    "Flask-Session": "sessions",
    "this project": "sessions",
}
NAMES = tuple(TABLES)

CONFIG = f"""
[app:main]
use = call:benchmarks.races_peers.pyramid_app:main
sessionsite.session_factory = sessionsite.sessions.server.session_factory_from_settings
session.secret = %(secret)s
session.samesite = Lax
session.timeout = 1200
session.lifetime = 43200
session.max_age = 43200
session.sql.create_table = true
session.sqlalchemy.url = %(database)s
session.sqlalchemy.pool_size = 5

[server:main]
use = egg:waitress#main
listen = 127.0.0.1:%(http_port)s
threads = {THREADS}
connection_limit = 1000

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARN
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain

[formatter_plain]
format = %%(message)s
"""


class AppServer(Server):
    """One of the four, on a port of 127.0.0.1."""

    def __init__(
        self, command: Sequence[str | Path], port: int, env: Mapping[str, str], log: Path
    ) -> None:
        self.port = port
        given = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT), **env}
        super().__init__(command, log, env=given, cwd=log.parent)

    def ready(self) -> bool:
        return listening(self.port)


def install() -> None:
    """Install what is missing of the other three, by pip and npm, beside this file."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = VENV / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(VENV, with_pip=True, clear=True)
        _run([VENV / "bin" / "pip", "install", "-qq", "-r", HERE / "requirements.txt"], HERE)
        stamp.write_text(wanted)
    if not (EXPRESS / "node_modules" / "connect-pg-simple").exists():
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm", "apt install nodejs npm")
        command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund"]
        _run([*command, "--loglevel=error"], EXPRESS)


def _run(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, env=None if env is None else dict(env))  # noqa: S603  # ours


@contextmanager
def running(name: str, directory: Path, postgres: Postgres) -> Iterator[App]:
    """One of the four, by its name in `NAMES`."""
    url = make_url(postgres.create_database("races")).set(drivername="postgresql")
    database = url.render_as_string(hide_password=False)
    port, secret = free_port(), secrets.token_urlsafe(32)
    env = {"DATABASE_URL": database, "SESSION_SECRET": secret, "THREADS": str(THREADS)}
    command = _command(name, port, env, directory)
    log = directory / f"app-{port}.log"
    env |= {"PORT": str(port), "NODE_ENV": "production"}
    with AppServer(command, port, env, log).start():
        yield App(name, port, database, TABLES[name], saves_by_hand=name == EXPRESS_NAME)


def _command(name: str, port: int, env: Mapping[str, str], directory: Path) -> Sequence[str | Path]:
    if name == EXPRESS_NAME:
        node = shutil.which("node")
        if node is None:
            raise Missing("Node", "apt install nodejs npm")
        return [node, EXPRESS / "app.js"]
    gunicorn: list[str | Path] = [
        VENV / "bin" / "gunicorn",
        "-b",
        f"127.0.0.1:{port}",
        "--workers",
        "1",
    ]
    gunicorn += ["--threads", str(THREADS), "--worker-connections", "1000", "--no-control-socket"]
    if name == "Django":
        migrate: list[str | Path] = [
            VENV / "bin" / "python",
            "-m",
            "benchmarks.races_peers.django_app",
        ]
        _run(migrate, directory, {"PYTHONPATH": str(ROOT), **env})
        return [*gunicorn, "benchmarks.races_peers.django_app:application"]
    if name == "Flask-Session":
        return [*gunicorn, "benchmarks.races_peers.flask_app:app"]
    config = directory / "races.ini"
    database, secret = env["DATABASE_URL"], env["SESSION_SECRET"]
    escaped = {"secret": secret, "database": database.replace("%", "%%")}
    config.write_text(CONFIG % {**escaped, "http_port": port})
    return [sys.executable, "-u", "-m", "pyramid.scripts.pserve", config]
