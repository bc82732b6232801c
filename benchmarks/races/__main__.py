"""Races that sessions lose, run against each stack by one client: `python -m benchmarks.races`.

Each is an app of the same few pages, one process, on the same PostgreSQL or on Redis. The table
goes to RACES.md.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Blocks, say, table
from benchmarks.peers.stacks import STACKS
from benchmarks.peers.stores import Stores
from benchmarks.races.measure import RACES, Racer

THREADS = 110  # more than the requests that any race has in flight
RACERS = [key for key, stack in STACKS.items() if stack.store and stack.server == "waitress"]


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    rows: dict[str, list[object]] = {}
    with ExitStack() as exits:
        stores = Stores(directory, exits)
        for stack in [STACKS[key] for key in args.only]:
            url = stores.url(stack)
            with stack.start(url, directory, threads=THREADS) as site:
                racer = Racer(stack, site.port, url, *((3, 4) if args.quick else (20, 500)))
                for race in RACES:
                    say(f"{stack.name}: {race.__name__}")
                    for what, count in race(racer).items():
                        rows.setdefault(what, []).append(count)
        where = machine.description(stores.postgres)
    head = ["", *(STACKS[key].name for key in args.only)]
    found = table(head, [[what, *counts] for what, counts in rows.items()])
    return {"races": f"{found}\n{where}"}


if __name__ == "__main__":
    parser = cli.options("races", __doc__, Path(__file__).parent / "RACES.md")
    names = ", ".join(RACERS)
    parser.add_argument(
        "--only", nargs="+", choices=RACERS, default=RACERS, metavar="KEY", help=names
    )
    sys.exit(cli.run(parser, measure))
