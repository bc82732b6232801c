"""The ways in which a server process comes to be, as far as its signals go."""

import os
import subprocess
from functools import cache

from tests.harness.process import Server, family

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]
# What a signal finds at process 1 of a container: no default handler, so that nothing happens.
NOTHING = ["sh", "-c", 'trap "" TERM INT; exec "$@"', "sh"]

WAYS = ("from a terminal", "by & in a script", "as process 1", "with both signals ignored")


def prefix(way: str) -> list[str]:
    """What stands before a command that is to start in that way."""
    return {
        "from a terminal": [],
        "by & in a script": ["sh", "-c", '"$@" & wait $!', "sh"],  # it passes the status on
        "as process 1": NAMESPACE if _may_make_namespaces() else NOTHING,
        "with both signals ignored": NOTHING,
    }[way]


def signal_to(server: Server, number: int) -> None:
    """Send a signal to the server itself, the last of those that a prefix has started."""
    os.kill(family(server.pid)[-1], number)


@cache
def _may_make_namespaces() -> bool:
    """Whether we may: as root, where this is no container that forbids it."""
    try:
        return (
            subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False
