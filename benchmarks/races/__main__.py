"""Races that sessions lose, run against four stacks by one client: `python -m benchmarks.races`.

Express with connect-pg-simple, Django with `db` sessions, Flask-Session on SQLAlchemy, and this
project, each an app of the same few pages, one process on the same PostgreSQL. The table goes to
benchmarks/RACES.md.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Report, output, progress, table
from benchmarks.races_peers import apps, measure
from tests.servers.postgres import start_postgres


@dataclass(frozen=True)
class Size:
    rounds: int
    parallel: int
    visits: int
    races: int


FULL = Size(rounds=20, parallel=20, visits=100, races=500)
QUICK = Size(rounds=3, parallel=20, visits=50, races=24)


@dataclass
class Found:
    """What went wrong in one app."""

    keys: int = 0
    visits: int = 0
    redirects: int = 0
    redirects_by_hand: int | None = None
    logouts: Counter[str] = field(default_factory=Counter)
    rotations: Counter[str] = field(default_factory=Counter)


def race(app: measure.App, size: Size) -> Found:
    def shown(what: str) -> Callable[[int, int], None]:
        return progress(f"{app.name}: {what}")

    found = Found()
    found.keys = measure.lost_keys(app, size.rounds, size.parallel, shown("keys"))
    found.visits = measure.lost_visits(app, size.visits, shown("visits"))
    found.logouts = measure.logouts(app, size.races, shown("logouts"))
    found.rotations = measure.rotations(app, size.races, shown("rotations"))
    found.redirects = measure.redirects(app, size.races, False, shown("redirects"))
    if app.saves_by_hand:
        show = shown("redirects after save()")
        found.redirects_by_hand = measure.redirects(app, size.races, True, show)
    return found


def rows(size: Size, found: list[Found]) -> list[list[object]]:
    """The table's rows; every number counts something that should not have happened."""

    def row(what: str, pick: Callable[[Found], object]) -> list[object]:
        return [what, *(pick(one) for one in found)]

    total, n = size.rounds * size.parallel, size.races
    return [
        row(f"keys lost, of {total} set in parallel", lambda f: f.keys),
        row(f"visits missing in the history, of {size.visits} at once", lambda f: f.visits),
        row(f"sessions alive after their logout, of {n}", lambda f: f.logouts["alive"]),
        row(f"… requests in flight answered with an error, of {3 * n}", _errors("logouts")),
        row(f"the old id opens the session after a rotation, of {n}", _rotated("old id opens")),
        row(f"… the browser is back on the old id, of {n}", _rotated("on the old id")),
        row(f"… data lost, of {n}", _rotated("data lost")),
        row(f"… visitors logged out, of {n}", _rotated("logged out")),
        row(f"… requests in flight answered with an error, of {4 * n}", _errors("rotations")),
        row(f"“not logged in” right after the login's redirect, of {n}", lambda f: f.redirects),
        row(
            "… with an explicit `save()` before the redirect",
            lambda f: "not needed" if f.redirects_by_hand is None else f.redirects_by_hand,
        ),
    ]


def _rotated(what: str) -> Callable[[Found], object]:
    return lambda found: found.rotations[what]


def _errors(race: str) -> Callable[[Found], object]:
    return lambda found: getattr(found, race)["errors"]


def versions() -> str:
    """Those of the other three, as installed."""
    lines = output([apps.VENV / "bin" / "pip", "list", "--format=json"])
    python = {p["name"].lower(): p["version"] for p in json.loads(lines)}
    modules = apps.EXPRESS / "node_modules"
    wanted = json.loads((apps.EXPRESS / "package.json").read_text())["dependencies"]
    node = {
        name: json.loads((modules / name / "package.json").read_text())["version"]
        for name in wanted
    }
    names = ("Django", "Flask", "Flask-Session", "Flask-SQLAlchemy", "gunicorn", "psycopg")
    found = [f"{name} {python[name.lower()]}" for name in names]
    found += [f"{name} {number}" for name, number in node.items()]
    return f"{', '.join(found)}, Node {output(['node', '--version']).strip().lstrip('v')}.\n"


def page(size: Size, names: list[str], found: list[Found], where: str) -> str:
    return f"""# Races that sessions lose

Written by `python -m benchmarks.races` (`make races`). Every number counts something that should
not have happened: 0 is right.

{table(["", *names], rows(size, found))}
{where}
## What was done
One client drives four apps of the same pages, each one process on one PostgreSQL, with the
session settings that each project's documentation recommends for production, over plain HTTP on
one machine (hence no `Secure` cookies). The Python apps have {apps.THREADS} threads, more than any
race has requests in flight; Flask-Session, which holds its database connection through a request,
has as many connections. Requests overlap because a handler works for a while (`sleep`) between
reading the session and the end of the request, the same time in all four. Handlers say when they
had read the session: a logout or rotation that came before that is no race, and is repeated.

- **Keys**: {size.rounds} rounds of {size.parallel} parallel requests of one visitor, {measure.WORK}
  ms each, each setting a key of its own.
- **Visits**: {size.visits} parallel requests of one visitor, {measure.WORK} ms each, each putting
  its URL in front of a list in the session.
- **Logout**: a reader, a writer and a touch of {measure.SLOW} ms are under way when the visitor
  logs out, by what each framework's own logout does. Alive: the cookie from before the logout, or
  the one the browser has in the end, still shows the user.
- **Rotation**: two readers and two writers of {measure.SLOW} ms are under way when the session gets
  a new id, as at a login. Express's `regenerate()` empties the session; the app here carries the
  data over. Data lost: something that was there, or was written meanwhile, is not in the session
  that the new id opens. Logged out: the browser, with the cookies it has in the end, is nobody.
- **Redirect**: a login answers 303 to a page that shows the user; to commit a write takes the
  database {measure.LATENCY} ms, as with a synchronous standby or a slow disk (a deferred trigger on
  the table that sleeps). As browsers do, the client follows as soon as the redirect's headers are
  there. express-session sends these before it
  has stored the session; its README advises an explicit `req.session.save()`, which is the last
  row. (The logins of the other races use it as well.)

An error in answer to a request in flight is Django's 400: it refuses to save a session that is
gone, so nothing comes back to life, but what the request wrote is lost.
The apps: `benchmarks/races_peers/`.
"""


def measured(args: argparse.Namespace, directory: Path) -> Report:
    size = QUICK if args.quick else FULL
    if args.races:
        size = Size(size.rounds, size.parallel, size.visits, args.races)
    names = args.only or [*apps.NAMES]
    apps.install()
    found = []
    with start_postgres(directory) as postgres:
        for name in names:
            with apps.running(name, directory, postgres) as app:
                found.append(race(app, size))
        where = machine.in_short(postgres, ["pyramid", "waitress", "SQLAlchemy", "psycopg"])
    text = page(size, names, found, where + versions())
    return Report(text, table(["", *names], rows(size, found)))


if __name__ == "__main__":
    options = cli.options("races", __doc__, quick="a few of each: half a minute")
    options.add_argument("--races", type=int, help=f"of each kind (default {FULL.races})")
    options.add_argument("--only", action="append", choices=apps.NAMES, help="one app, and no file")
    sys.exit(cli.run(options, measured))
