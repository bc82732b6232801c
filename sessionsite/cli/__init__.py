"""The `sessionsite` command.

A command is one function in a module of its group, decorated with `@commands.command()`. It says
what it did on stdout, and raises what went wrong: `ConfigurationError`, `StoreError`, or a
`click.ClickException` whose message is one line.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from ..sessions import ConfigurationError, StoreError
from . import doctor, new, secret, sessions, table  # noqa: F401  # each adds its commands
from .group import commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the process's own, and return its exit status.

    0: done. 1: failed, with one line on stderr. 2: wrong usage. 130: interrupted.
    """
    try:
        status = commands.main(argv, prog_name="sessionsite", standalone_mode=False)
    except click.UsageError as exc:
        exc.show()
        return 2
    except click.Abort:
        return _failed("interrupted", 130)
    except click.ClickException as exc:
        return _failed(exc.format_message(), 1)
    except (ConfigurationError, StoreError) as exc:
        return _failed(str(exc), 1)
    except OSError as exc:
        _give_up_output()
        return _failed(str(exc), 1)
    return status or 0  # a command returns nothing; --help, and a command's own exit, a status


def _give_up_output() -> None:
    """Drop what stdout can't be told, or Python tries once more as it ends, and complains."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            sys.stdout.close()


def _failed(reason: str, status: int) -> int:
    click.echo(f"sessionsite: {' '.join(reason.split())}", err=True)
    return status
