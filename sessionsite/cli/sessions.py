"""The commands that show sessions, and end them."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click

from ..sessions import AllSessions, OwnerStore, SessionStore, SessionSummary, utc_now
from .config import keep_audit, open_store
from .group import commands, config_uri

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, a line per session.")


class Age(click.ParamType):  # type: ignore[type-arg]  # older ones take no argument
    """A length of time on the command line: 90s, 20m, 12h, 30d, 2w."""

    name = "age"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        match = re.fullmatch(r"(\d{1,9})([smhdw])", value)
        if match is None:
            self.fail(f"{value!r} is no age: give 90s, 20m, 12h, 30d or 2w, for example.")
        try:
            return timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            self.fail(f"{value!r} is too long ago.")


@commands.command()
@config_uri
@as_json
def stats(config_uri: str, as_json: bool) -> None:
    """Count the sessions."""
    with open_store(config_uri) as store:
        counts = _owner_store(store).counts(utc_now())
        last = store.last_sweep()
    if as_json:
        pruned = None if last is None else asdict(last) | {"ended_at": last.ended_at.isoformat()}
        click.echo(json.dumps(asdict(counts) | {"last_sweep": pruned}))
        return
    _print_table(
        ["", "SESSIONS"],
        [
            ["live", f"{counts.live:,}"],
            ["expired, to be pruned", f"{counts.expired:,}"],
            [f"with an owner ({counts.owners:,} owners)", f"{counts.owned:,}"],
        ],
    )
    if last is None:
        click.echo("No pruning is known.")
    else:
        click.echo(
            f"Last pruning: {last.ended_at:%Y-%m-%d %H:%M:%S} UTC, {last.rows:,} rows in "
            f"{last.seconds:.1f} seconds"
        )


@commands.command("list")
@config_uri
@click.option("--owner", metavar="X", help="Only the sessions of this owner.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, metavar="N", show_default=True,
    help="At most so many.",
)  # fmt: skip
@as_json
def list_sessions(config_uri: str, owner: str | None, limit: int, as_json: bool) -> None:
    """List sessions.

    Those that end last come first; of one owner, those last used.
    """
    with open_store(config_uri) as store:
        owners = _owner_store(store)
        now = utc_now()
        found = owners.latest(now, limit) if owner is None else owners.sessions_of(owner, now)
    if as_json:
        for each in found[:limit]:
            click.echo(json.dumps(_facts(each)))
        return
    rows = [
        [e.id, e.owner or "", e.label or "", *map(_minute, (e.created_at, e.seen_at, e.expires_at))]
        for e in found[:limit]
    ]
    _print_table(["ID", "OWNER", "LABEL", "CREATED", "LAST STORED", "ENDS (UTC)"], rows)
    if len(found) >= limit:
        click.echo(f"The first {limit}; --limit N shows more.", err=True)


@commands.command()
@config_uri
@click.argument("id")
@as_json
def show(config_uri: str, id: str, as_json: bool) -> None:
    """Show one session, without its data.

    Of the data it shows the names and the size.
    """
    with open_store(config_uri) as store:
        record = store.load(id, utc_now())
    if record is None:
        raise click.ClickException(f"no session is called {_plain(id)}, or it has ended")
    data: dict[str, Any] = json.loads(record.payload)
    facts = _facts(SessionSummary.of(record)) | {
        "timeout": record.timeout,
        "lifetime": record.lifetime,
        "persistent": record.persistent,
        "rotated": None if record.rotated_at is None else record.rotated_at.isoformat(),
        "version": record.version,
        "bytes": len(record.payload),
        "keys": sorted(data),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    rows = [
        [name, ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)]
        for name, value in facts.items()
    ]
    _print_table(["", ""], rows)


@commands.command()
@config_uri
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--owner", metavar="X", help="All sessions of this owner.")
@click.option("--all", "end_all", is_flag=True, help="All sessions.")
@click.option("--created-before", type=Age(), metavar="AGE", help="Those older than AGE: 30d.")
@click.option("--unused-for", type=Age(), metavar="AGE", help="Those not stored for AGE: 12h.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def end(
    config_uri: str,
    ids: tuple[str, ...],
    owner: str | None,
    end_all: bool,
    created_before: timedelta | None,
    unused_for: timedelta | None,
    yes: bool,
) -> None:
    """End sessions, in every process.

    They open nothing from the next request on.

    AGE is a number and a unit: s, m, h, d or w. Two ages together mean both.
    """
    ages = [age for age in (created_before, unused_for) if age is not None]
    if (bool(ids), owner is not None, end_all, bool(ages)).count(True) != 1:
        raise click.UsageError("Give one of: IDs, --owner, --all, or ages.")
    with open_store(config_uri) as store:
        now = utc_now()
        keep_audit(config_uri)
        sessions = AllSessions(store, lambda: now, by="sessionsite end")
        if ids:
            if len(ids) > 1:
                _ask(f"End {len(ids)} sessions?", yes)
            ended = [sessions.end(each) for each in ids]
            missing = [id_ for id_, was_there in zip(ids, ended, strict=True) if not was_there]
            _report(sum(ended))
            if missing:
                named = ", ".join(map(_plain, missing))
                raise click.ClickException(f"there is no session {named}, or it has ended")
            return
        owners = _owner_store(store)
        if owner is not None:
            if (count := len(owners.sessions_of(owner, now))) > 1:
                _ask(f"End the {count} sessions of {_plain(owner)}?", yes)
            _report(sessions.end_owner(owner))
            return
        which = [
            f"{verb} before {now - age:%Y-%m-%d %H:%M} UTC"
            for verb, age in (("created", created_before), ("last stored", unused_for))
            if age is not None
        ]
        _ask(f"End all sessions {' and '.join(which)}".rstrip() + "?", yes)
        batches = sessions.end_older(
            None if created_before is None else now - created_before,
            None if unused_for is None else now - unused_for,
        )
        _report(sum(_shown(batches)))


def _owner_store(store: SessionStore) -> OwnerStore:
    if isinstance(store, OwnerStore):
        return store
    raise click.ClickException(
        f"the store keeps each session by its id alone ({type(store).__name__} is no OwnerStore): "
        "show and end take an ID"
    )


def _ask(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Give --yes, since there is no terminal to ask on.")
    click.confirm(question, abort=True, err=True)


def _report(count: int) -> None:
    click.echo(f"{count} session{'' if count == 1 else 's'} ended")


def _shown(batches: Iterable[int]) -> Iterator[int]:
    """Pass the batches through, and show on a terminal how many have ended."""
    total = 0
    for count in batches:
        total += count
        if sys.stderr.isatty():
            click.echo(f"\r{total} ended", err=True, nl=False)
        yield count
    if total and sys.stderr.isatty():
        click.echo(err=True)


def _facts(summary: SessionSummary) -> dict[str, Any]:
    ends = summary.expires_at
    return {
        "id": summary.id,
        "owner": summary.owner,
        "label": summary.label,
        "created": summary.created_at.isoformat(),
        "seen": summary.seen_at.isoformat(),
        "expires": None if ends is None else ends.isoformat(),
    }


def _minute(time: datetime | None) -> str:
    return "never" if time is None else f"{time:%Y-%m-%d %H:%M}"


def _plain(text: str) -> str:
    """Return `text` without what a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    cells = [[_plain(cell) for cell in row] for row in [heads, *rows] if any(row)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
