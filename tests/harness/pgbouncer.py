"""A real PgBouncer."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.harness import Missing, free_port, listening
from tests.harness.postgres import Postgres
from tests.harness.process import Server, tell_reaper

INI = """\
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users
pool_mode = {mode}
default_pool_size = {size}
{more}
"""


class PgBouncer(Server):
    """In front of all databases of one server, with the server's own user."""

    def __init__(
        self, program: str, directory: Path, server: Postgres, mode: str, size: int, more: str
    ) -> None:
        options: dict[str, Any] = {}
        # It refuses to run as root, and its user can't enter root's folders.
        self._home = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
        tell_reaper(str(self._home), 0)
        self.port = free_port()
        values = {"server": server, "port": self.port, "home": self._home, "mode": mode}
        (self._home / "users").write_text(f'"{server.user}" "{server.password}"\n')
        config = self._home / "pgbouncer.ini"
        config.write_text(INI.format(**values, size=size, more=more))
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in [self._home, *self._home.iterdir()]:
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        log = directory / f"pgbouncer-{self.port}.log"
        super().__init__([program, str(config)], log, **options)

    def ready(self) -> bool:
        return listening(self.port)

    def __exit__(self, *exc_info: object) -> None:
        super().__exit__(*exc_info)
        shutil.rmtree(self._home)
        tell_reaper(str(self._home), None)


def start_pgbouncer(
    directory: Path,
    server: Postgres,
    *,
    mode: str = "transaction",
    size: int = 5,
    more: str = "",
) -> PgBouncer:
    """A PgBouncer that answers; `more` are further lines of its configuration."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which("pgbouncer", path=path)
    if program is None:
        raise Missing("PgBouncer", "apt install pgbouncer")
    pooler = PgBouncer(program, directory, server, mode, size, more)
    pooler.start()
    return pooler
