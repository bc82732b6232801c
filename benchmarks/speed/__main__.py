"""What a session costs a page, ours beside its peers: `python -m benchmarks.speed`.

benchmarks/README.md says what is measured and how.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.browser import PAGES, Browser
from benchmarks.cli import Blocks, say
from benchmarks.peers.stacks import STACKS, Site, Stack
from benchmarks.peers.stores import Stores
from benchmarks.speed import check, figures
from benchmarks.speed.figures import Figures, Results, Round
from benchmarks.speed.load import cpu_seconds, load, peak_memory

CONNECTIONS = 16
COUNTED_VISITS = 240


@dataclass
class Entry:
    """A stack that takes part: running, checked, with a cookie for each connection."""

    stack: Stack
    sites: list[Site]
    figures: Figures
    visitors: list[Browser]
    cookies: Path

    @property
    def ports(self) -> list[int]:
        return [site.port for site in self.sites]

    @property
    def pids(self) -> list[int]:
        return [site.pid for site in self.sites]


class Bench:
    def __init__(self, args: argparse.Namespace, directory: Path, exits: ExitStack) -> None:
        """`exits` ends all that is started."""
        self.directory, self.exits = directory, exits
        self.processes, self.seconds = args.processes, args.seconds
        self.stores = Stores(directory, exits)

    def enter(self, stack: Stack) -> tuple[Entry, check.Pages]:
        """Start it, and check that it works."""
        say(f"{stack.name}: install, start, check")
        url = self.stores.url(stack)
        sites = [
            self.exits.enter_context(stack.start(url, self.directory, core=number))
            for number in range(self.processes)
        ]
        ports = [site.port for site in sites]
        pages = check.check_sessions(ports) if stack.store else check.check_no_sessions(ports)
        visitors = check.visitors(ports[0], CONNECTIONS) if stack.store else []
        cookies = self.directory / f"{stack.key}.cookies"
        sent = [visitor.cookie for visitor in visitors] or [""] * CONNECTIONS
        cookies.write_text("".join(f"{cookie}\n" for cookie in sent))
        found = Figures(stack, [len(html.encode()) for html in pages.values()])
        return Entry(stack, sites, found, visitors, cookies), pages

    def prepare(self, entry: Entry) -> None:
        """Warm the server up, and count its statements."""
        load(entry.ports, entry.cookies, 1)
        if entry.stack.store:
            with self.stores.statements(entry.stack) as seen:
                for number in range(COUNTED_VISITS):
                    check.visit(entry.visitors[number % 4], PAGES[number // 4 % len(PAGES)])
            kinds = {kind: round(n / COUNTED_VISITS, 2) for kind, n in seen.items()}
            # Once or twice in all: the store's own, not the visits'.
            entry.figures.statements = {kind: n for kind, n in kinds.items() if n > 0.02}

    def time(self, entry: Entry) -> None:
        """Load it for one slice of time, between two looks at what its processes have used."""
        self.stores.checkpoint()
        database = self.stores.pids(entry.stack)

        before = cpu_seconds(entry.pids), cpu_seconds(database)
        seen = load(entry.ports, entry.cookies, self.seconds)
        server, stored = cpu_seconds(entry.pids) - before[0], cpu_seconds(database) - before[1]
        if seen.errors or not seen.requests:
            raise check.NotWorking(f"{entry.stack.name}, under load: {seen}")
        done = Round(
            rate=seen.requests / seen.duration * 1e6,
            p50=seen.p50 / 1000,
            p99=seen.p99 / 1000,
            server=server / seen.requests * 1e6,
            database=stored / seen.requests * 1e6,
        )
        entry.figures.rounds.append(done)
        say(f"{entry.stack.name:31}{done.rate:6.0f} requests/s   p99 {done.p99:6.1f} ms")

    def finish(self, entry: Entry) -> None:
        entry.figures.memory = peak_memory(entry.pids)
        for visitor in entry.visitors[:1]:
            check.check_still(visitor)


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    if args.quick:
        args.rounds = args.seconds = 1
    with ExitStack() as exits:
        bench = Bench(args, directory, exits)
        entered = [bench.enter(STACKS[key]) for key in args.only]
        entries = [entry for entry, _ in entered]
        pages = {entry.stack.key: found for entry, found in entered}
        for entry in entries:
            check.check_same(pages[entry.stack.key], pages.get("sessionsite", entered[0][1]))
            bench.prepare(entry)
        for number in range(args.rounds):
            say(f"round {number + 1} of {args.rounds}")
            for entry in entries:
                bench.time(entry)
        for entry in entries:
            bench.finish(entry)
        where = machine.description(bench.stores.postgres)
    results = Results({entry.stack.key: entry.figures for entry in entries})
    setup = (
        f"Processes of each: {args.processes}. Connections: {CONNECTIONS}, each with its own "
        f"cookie. Rounds: {args.rounds} of {args.seconds} s, in turns.\n"
    )
    return {"setup": f"{setup}{where}", **figures.blocks(results)}


if __name__ == "__main__":
    parser = cli.options("speed", __doc__, Path(__file__).parent / "RESULTS.md")
    add, keys = parser.add_argument, list(STACKS)
    add("--rounds", type=int, default=5, help="how often each is timed, in turns (5)")
    add("--seconds", type=int, default=8, help="how long each time (8)")
    add("--only", nargs="+", choices=keys, default=keys, metavar="KEY", help=", ".join(keys))
    add("--processes", type=int, choices=(1, 2), default=1, help="of each stack (1)")
    sys.exit(cli.run(parser, measure))
