"""The `sessionsite` command. Exit status: 0 done, 1 failed (one line on stderr), 2 wrong usage."""

import argparse
import configparser
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import plaster

from .sessions import FACTORY_KEY
from .sessions.configuration import ConfigurationError, expand_environment
from .sessions.server import utc_now
from .sessions.settings import SQL_PREFIXES, sql_settings
from .sessions.sql import SQLAlchemyStore, store_from_settings
from .sessions.store import StoreError
from .sessions.sweeper import BATCH, prune_all
from .sessions.table import create_table

SERVER_FACTORY = "sessionsite.sessions.server.session_factory_from_settings"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, return its exit status."""
    args = _parser().parse_args(argv)
    try:
        args.run(args)
    except (ConfigurationError, StoreError) as exc:
        print(f"sessionsite: {' '.join(str(exc).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sessionsite", description="Tend the session table.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str, *, config: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if config:
            command.add_argument("config_uri", help="production.ini, for example")
        return command

    add("init-db", init_db, "Create the table of sessions where it is missing.")
    prune_parser = add("prune", prune, "Delete the sessions that have expired.")
    prune_parser.add_argument(
        "--batch-size", type=_positive, default=BATCH, help="rows at a time (%(default)s)"
    )
    add("generate-secret", generate_secret, "Print a secret for SESSION_SECRET.", config=False)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number of at least 1")
    return int(text)


def read_settings(config_uri: str) -> dict[str, str]:
    """Return the [app:main] section of an .ini file. Raises `ConfigurationError`."""
    try:
        loader = plaster.get_loader(config_uri, protocols=["wsgi"])
        settings: dict[str, str] = loader.get_wsgi_app_settings()
    except configparser.InterpolationError as exc:
        # its own text quotes the value, which may be a password
        reason = f"[{exc.section}] {exc.option}: a % must be doubled, or name a variable in %(...)s"
    except configparser.Error as exc:
        reason = exc.message
    except (plaster.PlasterError, LookupError, ImportError, UnicodeError, OSError) as exc:
        reason = str(exc)
    else:
        return settings
    raise ConfigurationError(f"{config_uri} can't be read: {reason}")


@contextmanager
def open_store(config_uri: str) -> Iterator[SQLAlchemyStore]:
    """The store that the .ini file describes; it needs no secret for that.

    Raises `ConfigurationError`, also for a file whose session factory has no such store.
    """
    settings = read_settings(config_uri)
    if settings.get(FACTORY_KEY) != SERVER_FACTORY:
        raise ConfigurationError(
            f"{config_uri} keeps its sessions in no table: {FACTORY_KEY} is not {SERVER_FACTORY}"
        )
    sql = sql_settings(
        expand_environment({k: v for k, v in settings.items() if k.startswith(SQL_PREFIXES)})
    )
    store = store_from_settings(replace(sql, create_table=False))
    try:
        yield store
    finally:
        store.engine.dispose()


def init_db(args: argparse.Namespace) -> None:
    with open_store(args.config_uri) as store:
        created = create_table(store.engine, store.table)
    print(f"Table {store.table.fullname}: {'created' if created else 'is there already'}")


def prune(args: argparse.Namespace) -> None:
    now = utc_now()
    removed = 0
    with open_store(args.config_uri) as store:
        bar = _ProgressBar(store.count_expired(now)) if sys.stderr.isatty() else None
        for size in prune_all(store, now, args.batch_size):
            removed += size
            if bar:
                bar.show(removed)
        if bar:
            bar.close()
    print(f"{removed} expired sessions removed")


def generate_secret(args: argparse.Namespace) -> None:
    print(secrets.token_urlsafe(48))


class _ProgressBar:
    """How far a command is, on stderr; for a terminal only."""

    WIDTH = 40

    def __init__(self, total: int) -> None:
        self._total = max(total, 1)

    def show(self, done: int) -> None:
        done = min(done, self._total)
        filled = self.WIDTH * done // self._total
        bar = "#" * filled + "." * (self.WIDTH - filled)
        sys.stderr.write(f"\r[{bar}] {done}/{self._total}")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n")
