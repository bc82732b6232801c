"""Races that sessions lose, run against each stack by one client: `python -m benchmarks.races`.

Each is an app of the same few pages, one process, on the same PostgreSQL or on Redis. The table
goes to RACES.md.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Report, progress, table
from benchmarks.peers.stacks import STACKS, Stack
from benchmarks.races import measure
from benchmarks.races.measure import App
from benchmarks.speed.stores import Stores

FILE = Path(__file__).parent / "RACES.md"
THREADS = 110  # more than the requests that any race has in flight
RACERS = {stack.key: stack for stack in STACKS if stack.store}
# What the report names of what each stack has installed.
PACKAGES = (
    *("Django", "Flask", "Flask-Session", "Flask-SQLAlchemy", "pyramid", "pyramid_session_redis"),
    *("waitress", "SQLAlchemy", "psycopg", "connect-pg-simple", "express", "express-session", "pg"),
)


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
    redirects: object = "not measured"
    """It takes a database whose commits can be slowed down."""
    redirects_by_hand: object = "not needed"
    logouts: Counter[str] = field(default_factory=Counter)
    rotations: Counter[str] = field(default_factory=Counter)
    versions: list[str] = field(default_factory=list)


def race(app: App, size: Size) -> Found:
    def shown(what: str) -> Callable[[int, int], None]:
        return progress(f"{app.name}: {what}")

    found = Found()
    found.keys = measure.lost_keys(app, size.rounds, size.parallel, shown("keys"))
    found.visits = measure.lost_visits(app, size.visits, shown("visits"))
    found.logouts = measure.logouts(app, size.races, shown("logouts"))
    found.rotations = measure.rotations(app, size.races, shown("rotations"))
    if app.database:
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
        row("… with an explicit `save()` before the redirect", lambda f: f.redirects_by_hand),
    ]


def _rotated(what: str) -> Callable[[Found], object]:
    return lambda found: found.rotations[what]


def _errors(race: str) -> Callable[[Found], object]:
    return lambda found: getattr(found, race)["errors"]


def run(stack: Stack, size: Size, stores: Stores, directory: Path, base: Path | None) -> Found:
    """Start the stack, and let it lose its races."""
    interpreter, url = stack.interpreter(base), stores.url(stack)
    stack.prepare(interpreter, url)
    database = stack.environment(url).get("DATABASE_URL", "")
    with stack.start(interpreter, url, directory, threads=THREADS) as site:
        by_hand = stack.key == "express"
        found = race(App(stack.name, site.port, database, stack.table, by_hand), size)
    named = [stack.versions(interpreter).get(name) for name in (*PACKAGES, "Node")]
    versions = zip((*PACKAGES, "Node"), named, strict=True)
    found.versions = [f"{name} {version}" for name, version in versions if version]
    return found


def page(size: Size, names: list[str], found: list[Found], where: str) -> str:
    return f"""# Races that sessions lose

Written by `python -m benchmarks.races` (`make races`). Every number counts something that should
not have happened: 0 is right.

{table(["", *names], rows(size, found))}
{where}
## What was done
One client, in the place of a trusted https proxy, drives apps of the same pages, each one process,
on one PostgreSQL or on Redis, with the session settings that each project's documentation
recommends for production. The Python apps have {THREADS} threads of waitress, more than any race
has requests in flight; Flask-Session, which holds its database connection through a request, has
as many connections. Requests overlap because a handler works for a while (`sleep`) between reading
the session and the end of the request, the same time in all of them. Handlers say when they had
read the session: a logout or rotation that came before that is no race, and is repeated.

- **Keys**: {size.rounds} rounds of {size.parallel} parallel requests of one visitor, {measure.WORK}
  ms each, each setting a key of its own.
- **Visits**: {size.visits} parallel requests of one visitor, {measure.WORK} ms each, each putting
  its URL in front of a list in the session.
- **Logout**: a reader, a writer and a touch of {measure.SLOW} ms are under way when the visitor
  logs out, by what each framework's own logout does. Alive: the cookie from before the logout, or
  the one the browser has in the end, still shows the user.
- **Rotation**: two readers and two writers of {measure.SLOW} ms are under way when the session gets
  a new id, as at a login. Express's `regenerate()` empties the session, and pyramid_session_redis
  has none: their apps here carry the data over. Data lost: something that was there, or was written
  meanwhile, is not in the session that the new id opens. Logged out: the browser, with the cookies
  it has in the end, is nobody.
- **Redirect**: a login answers 303 to a page that shows the user; to commit a write takes the
  database {measure.LATENCY} ms, as with a synchronous standby or a slow disk (a deferred trigger on
  the table that sleeps). As browsers do, the client follows as soon as the redirect's headers are
  there. express-session sends these before it
  has stored the session; its README advises an explicit `req.session.save()`, which is the last
  row. (The logins of the other races use it as well.)

An error in answer to a request in flight is Django's 400: it refuses to save a session that is
gone, so nothing comes back to life, but what the request wrote is lost.
The apps: `benchmarks/peers/`.
"""


def measured(args: argparse.Namespace, directory: Path) -> Report:
    size = QUICK if args.quick else FULL
    if args.races:
        size = Size(size.rounds, size.parallel, size.visits, args.races)
    stacks = [RACERS[key] for key in args.only or RACERS]
    base = Path(sys.executable) if args.here else None
    with ExitStack() as exits:
        stores = Stores(directory, exits, durable=False)
        found = [run(stack, size, stores, directory, base) for stack in stacks]
        where = machine.in_short((), stores.postgres)
    versions = dict.fromkeys(name for one in found for name in one.versions)
    names = [stack.name for stack in stacks]
    text = page(size, names, found, f"{where}{', '.join(versions)}.\n")
    return Report(text, table(["", *names], rows(size, found)))


def main() -> int:
    parser = cli.options("races", __doc__, FILE, "a few of each, half a minute")
    add = parser.add_argument
    add("--races", type=int, help=f"of each kind (default {FULL.races})")
    add("--only", nargs="+", choices=RACERS, metavar="KEY", help=f"who: {', '.join(RACERS)}")
    add("--here", action="store_true", help="ours on the Python that runs this, as it is installed")
    parser.set_defaults(partial=lambda args: args.quick or args.races or args.only or args.here)
    return cli.run(parser, measured)


if __name__ == "__main__":
    sys.exit(main())
