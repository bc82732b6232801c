"""The commands that look after the table of sessions."""

import sys

import click

from ..sessions import PRUNE_BATCH, note_sweep, prune_all, utc_now
from .config import open_store
from .group import commands, config_uri


@commands.command("init-db")
@config_uri
def init_db(config_uri: str) -> None:
    """Create the table of sessions where it is missing."""
    with open_store(config_uri) as store:
        from ..sessions.sql import SQLAlchemyStore, create_table  # no other command needs a driver

        if not isinstance(store, SQLAlchemyStore):
            raise click.ClickException(f"{config_uri} keeps its sessions in no table of ours")
        created = create_table(store.engine, store.table)
    click.echo(f"Table {store.table.fullname}: {'created' if created else 'is there already'}")


@commands.command("upgrade-db")
@config_uri
def upgrade_db(config_uri: str) -> None:
    """Bring the table of sessions up to date.

    It gets the version that this program needs. The site goes on meanwhile, and needs the upgrade
    before its new version starts.
    """
    with open_store(config_uri) as store:
        from ..sessions.sql import SQLAlchemyStore, upgrade_table

        if not isinstance(store, SQLAlchemyStore):
            raise click.ClickException(f"{config_uri} keeps its sessions in no table of ours")
        before, after = upgrade_table(store.engine, store.table)
    said = f"is at version {after} already" if before == after else f"version {before} -> {after}"
    click.echo(f"Table {store.table.fullname}: {said}")


@commands.command()
@config_uri
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=PRUNE_BATCH,
    metavar="N",
    show_default=True,
    help="How many rows to delete at a time.",
)
def prune(config_uri: str, batch_size: int) -> None:
    """Delete the sessions that have expired."""
    now = utc_now()
    deleted = 0
    with open_store(config_uri) as store:
        # Counting reads every expired row, so only a progress bar that is shown pays for it.
        expired = store.count_expired(now) if sys.stderr.isatty() else None
        with click.progressbar(
            length=expired or 0, hidden=not expired, show_eta=False, show_pos=True, file=sys.stderr
        ) as bar:
            for size in prune_all(store, now, batch_size):
                deleted += size
                bar.update(size)
        note_sweep(store, now, utc_now(), deleted)
    click.echo(f"{deleted} expired sessions removed")
