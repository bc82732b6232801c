"""A standby: a PostgreSQL server that follows another one, and takes its place when it is gone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.harness import Missing
from tests.harness.observing import until
from tests.harness.postgres import Postgres
from tests.harness.process import ServerError

NAME = "standby"


class Standby(Postgres):
    """A copy of `primary`, which streams what the primary writes from `start` on."""

    def __init__(self, primary: Postgres, directory: Path, port: int | None = None) -> None:
        """Copy the primary, which goes on meanwhile. Without a `port` it takes a free one."""
        self.primary = primary
        if not (primary.bindir / "pg_basebackup").exists():
            raise Missing("pg_basebackup", "apt install postgresql-client")
        super().__init__(directory, primary.bindir, port)
        self.command.append("--wal_retrieve_retry_interval=200ms")  # 5 s after its primary is back

    def _new_password(self) -> str:
        return self.primary.password

    def _make_data(self) -> list[str]:
        primary = self.primary
        conninfo = psycopg.conninfo.make_conninfo(
            host=primary.host,
            port=primary.port,
            user=primary.user,
            password=primary.password,
            application_name=NAME,
        )
        command = [str(self.bindir / "pg_basebackup"), "-D", "data", "-d", conninfo]
        return [*command, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]

    def promote(self) -> None:
        """Become a primary, which waits for no standby. The old one must be gone by now."""
        with self.connect() as connection:
            assert connection.execute("SELECT pg_promote(true, 60)").fetchone() == (True,)
        demand_standby(self, None)

    @property
    def is_streaming(self) -> bool:
        with self.primary.connect() as connection:
            states = connection.execute("SELECT state FROM pg_stat_replication").fetchall()
        return ("streaming",) in states

    def make_synchronous(self) -> None:
        """From the return on, whatever the primary has committed is on the standby too.

        That goes for commits before as well. Raises ServerError.
        """
        if not until(lambda: self.is_streaming, 30):
            raise ServerError(f"the standby does not stream:\n{self.output()[-2000:]}")
        demand_standby(self.primary, NAME)
        with self._probe() as probe:
            # Whether commits wait is settled by a process of the server's, some time after it was
            # asked. The proof is a commit that waits for a standby which is frozen.
            if not until(lambda: self._holds_up(probe), 30):
                raise ServerError("commits do not wait for the standby")
            probe.execute(COMMIT)  # comes after all that did not wait

    def _holds_up(self, probe: psycopg.Connection[tuple[object, ...]]) -> bool:
        """Whether a commit waits while the standby is frozen."""
        self.pause()
        return commit_waits(self.primary, probe, self.resume)

    @contextmanager
    def _probe(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        with self.primary.connect() as connection:
            connection.execute("SET synchronous_commit = on")
            yield connection


COMMIT = "SELECT pg_logical_emit_message(true, 'tests', 'probe'), txid_current()"
WAITS_FOR = "SELECT wait_event FROM pg_stat_activity WHERE pid = %s"


def commit_waits(
    server: Postgres,
    probe: psycopg.Connection[tuple[object, ...]],
    release: Callable[[], object],
) -> bool:
    """Whether a commit of `probe` waits for a standby, until `release` ends its wait."""
    pid = probe.info.backend_pid
    commit = threading.Thread(target=probe.execute, args=(COMMIT,))
    try:
        commit.start()
        with server.connect() as connection:

            def waits() -> bool:
                seen = connection.execute(WAITS_FOR, [pid]).fetchone()
                return seen == ("SyncRep",)

            waited = until(lambda: waits() or not commit.is_alive()) and commit.is_alive()
    finally:
        release()
    commit.join(30)
    return waited


@contextmanager
def standby_gone(server: Postgres) -> Iterator[None]:
    """The server's commits wait for a standby that there is not. Raises ServerError."""
    demand_standby(server, "gone")
    try:
        with server.connect() as admin, server.connect() as probe:

            def cancel() -> None:
                admin.execute("SELECT pg_cancel_backend(%s)", [probe.info.backend_pid])

            # A setting that is shown is not yet one that commits wait by: see make_synchronous.
            if not until(lambda: commit_waits(server, probe, cancel), 30):
                raise ServerError("commits do not wait for a standby")
        yield
    finally:
        demand_standby(server, None)


def demand_standby(server: Postgres, name: str | None) -> None:
    """Have the server's commits wait for the standby of that name; None: for none."""
    with server.connect() as connection:
        # On a standby this is a copy of what the primary had, and would wait for itself.
        setting = sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}")
        connection.execute(setting.format(sql.Literal(name or "")))
        connection.execute("SELECT pg_reload_conf()")
