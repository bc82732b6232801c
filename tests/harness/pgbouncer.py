"""A real PgBouncer."""

import os
import pwd
import re
import shutil
import subprocess
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
    prepared: int = 0,
    more: str = "",
) -> PgBouncer:
    """A PgBouncer that answers.

    `prepared`: how many prepared statements it keeps for each connection; `more` are further lines
    of its configuration.
    """
    program = _program()
    if program is None:
        raise Missing("PgBouncer", "apt install pgbouncer")
    if keeps_prepared_statements():
        more = f"max_prepared_statements = {prepared}\n{more}"
    elif prepared:
        raise Missing("PgBouncer", "apt install pgbouncer, 1.21 or newer")
    pooler = PgBouncer(program, directory, server, mode, size, more)
    pooler.start()
    return pooler


def keeps_prepared_statements() -> bool:
    """Whether this machine's PgBouncer can; from 1.21 on it does, unless it is told not to."""
    program = _program()
    if program is None:
        return False
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"PgBouncer (\d+)\.(\d+)", asked.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= (1, 21)


def _program() -> str | None:
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
