"""The ways in which a database is away, each on real servers: begun and ended by a test."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec

import psycopg
from psycopg import sql

from tests.harness import Missing
from tests.harness.pgbouncer import start_pgbouncer
from tests.harness.postgres import Postgres, end_clients
from tests.harness.relay import Nameserver, Relay
from tests.harness.standby import standby_gone


@dataclass
class Place:
    """A database with the table in it, the role that the site has, and what an outage needs."""

    server: Postgres
    url: str
    directory: Path
    exits: ExitStack
    site_url: str = ""
    prefix: Sequence[str] = ()
    """The command that the site's process is started with."""
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    def admin(self) -> "psycopg.Connection[Any]":
        return self.exits.enter_context(self.server.connect(self.url))

    def role(self) -> sql.Identifier:
        """Have the site connect as a role of its own, which owns nothing."""
        name = f"site_{secrets.token_hex(4)}"
        role = sql.Identifier(name)
        with self.server.connect(self.url) as admin:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p'").format(role))
            for table in ("sessions", "sessions_status"):
                grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}"
                admin.execute(sql.SQL(grant).format(sql.Identifier(table), role))
        self.site_url = f"postgresql://{name}:p@{self.server.host}:{self.server.port}/{self.name}"
        return role

    def at(self, host: str, port: int) -> str:
        server = self.server
        return f"postgresql://{server.user}:{server.password}@{host}:{port}/{self.name}"

    def terminate(self) -> None:
        """End the connections to the database."""
        with self.server.connect() as admin:
            end_clients(admin, "datname = %s", self.name)


Outage = Callable[[Place], Any]
P = ParamSpec("P")


def restored(phases: Callable[P, Iterator[None]]) -> Callable[P, AbstractContextManager[None]]:
    """As `contextmanager`; what follows the `yield` runs even if the test has failed meanwhile.

    Other tests use the same server.
    """

    @contextmanager
    def run(*args: P.args, **kwargs: P.kwargs) -> Iterator[None]:
        steps = phases(*args, **kwargs)
        next(steps)
        try:
            yield
        finally:
            next(steps, None)

    return run


@restored
def stopped(place: Place) -> Iterator[None]:
    place.server.stop()
    yield
    place.server.start()


@restored
def killed(place: Place) -> Iterator[None]:
    place.server.kill()
    yield
    place.server.start()


@restored
def frozen(place: Place) -> Iterator[None]:
    place.server.pause()
    yield
    place.server.resume()


def behind_relay(place: Place) -> None:
    relay = place.exits.enter_context(Relay(place.server.port))
    place.rest["relay"] = relay
    place.site_url = place.at("127.0.0.1", relay.port)


@restored
def silent(place: Place) -> Iterator[None]:
    """A black hole: nothing comes through, and nobody is told."""
    place.rest["relay"].swallow()
    yield
    place.rest["relay"].let_through()


def named(place: Place) -> None:
    """Name the server by a name that a name server of ours knows."""
    if os.geteuid():
        raise Missing("root", "only root can give a process another name server")
    server = place.exits.enter_context(Nameserver("db.example"))
    resolv = place.directory / "resolv.conf"
    resolv.write_text(f"nameserver {server.address}\n")
    place.rest["nameserver"] = server
    place.site_url = place.at("db.example", place.server.port)
    mount = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
    place.prefix = ["unshare", "--mount", "sh", "-c", mount, "sh"]


@restored
def nameless(place: Place) -> Iterator[None]:
    place.rest["nameserver"].answers = False
    place.terminate()  # whoever is connected needs no name
    yield
    place.rest["nameserver"].answers = True


@restored
def read_only(place: Place) -> Iterator[None]:
    """The server has become a standby, and is promoted again."""
    server = place.server
    server.stop()
    server.data.joinpath("standby.signal").touch()
    server.start()
    yield
    with server.connect() as admin:
        admin.execute("SELECT pg_promote()")


def own_role(place: Place) -> None:
    place.rest["role"] = place.role()


@restored
def forbidden(place: Place) -> Iterator[None]:
    with place.server.connect(place.url) as admin:
        change = "{} UPDATE ON sessions, sessions_status {} {}"
        role = place.rest["role"]
        for verb, word in (("REVOKE", "FROM"), ("GRANT", "TO")):
            admin.execute(sql.SQL(change).format(sql.SQL(verb), sql.SQL(word), role))
            if verb == "REVOKE":
                yield


def on_small_disk(place: Place) -> None:
    disk = Path("/tmp", f"disk-{secrets.token_hex(4)}")  # where the server's user can go
    disk.mkdir()
    place.exits.callback(disk.rmdir)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        raise Missing("a disk of our own", "only root can mount one")
    place.exits.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
    if place.server.owner:
        os.chown(disk, *place.server.owner)
    place.rest["ballast"] = disk / "ballast"
    place.rest["ballast"].write_bytes(bytes(1_000_000))
    with place.server.connect(place.url) as admin:
        admin.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(disk)))
        for table in ("sessions", "sessions_status"):
            admin.execute(f"ALTER TABLE {table} SET TABLESPACE small")
        admin.execute("CREATE TABLE filler (a text) TABLESPACE small")

    def leave() -> None:
        with place.server.connect(place.url) as admin:
            admin.execute("DROP TABLE filler, sessions, sessions_status")
            admin.execute("DROP TABLESPACE small")

    place.exits.callback(leave)


@restored
def full(place: Place) -> Iterator[None]:
    with place.server.connect(place.url) as admin:
        for size in (100_000, 1_000, 10):
            fill = "INSERT INTO filler SELECT repeat('x', 100) FROM generate_series(1, %s)"
            try:
                while True:
                    admin.execute(fill, [size])
            except psycopg.errors.DiskFull:
                pass
        yield
        place.rest["ballast"].unlink()


@restored
def used_up(place: Place) -> Iterator[None]:
    """All slots of the server are others'."""
    role = place.rest["role"]
    with ExitStack() as others:
        first = others.enter_context(place.server.connect())
        first.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))  # lest it takes one again
        place.terminate()
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(place.server.connect())
        first.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role))
        yield


@restored
def alone(place: Place) -> Iterator[None]:
    """The synchronous standby is gone, and each commit waits for it."""
    with standby_gone(place.server):
        yield


@restored
def locked(place: Place) -> Iterator[None]:
    with place.server.connect(place.url) as admin, admin.transaction():
        admin.execute("LOCK sessions, sessions_status IN SHARE MODE")
        yield


def behind_pooler(place: Place) -> None:
    """PgBouncer in transaction mode, with one connection for all, and no setting of ours for it."""
    pooler = place.exits.enter_context(start_pgbouncer(place.directory, place.server, size=1))
    place.rest["pooler"] = pooler
    place.site_url = place.at("127.0.0.1", pooler.port)


@restored
def misused(place: Place) -> Iterator[None]:
    """Another program keeps the pooler's one connection for itself."""
    with psycopg.connect(place.at("127.0.0.1", place.rest["pooler"].port)) as other:
        other.execute("SELECT 1")
        yield


@dataclass(frozen=True)
class Row:
    """One way to be away. `prepare` is called before the site starts."""

    outage: Outage
    prepare: Callable[[Place], None] = lambda place: None
    room: float = 1
    """For how many seconds, at most, visits are still saved."""


ROWS = [
    Row(stopped),
    Row(killed),
    Row(frozen),
    Row(silent, behind_relay),
    Row(nameless, named),
    Row(read_only),
    Row(forbidden, own_role),
    Row(full, on_small_disk, room=30),
    Row(used_up, own_role),
    Row(alone),
    Row(locked),
    Row(misused, behind_pooler),
]
