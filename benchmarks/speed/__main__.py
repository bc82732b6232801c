"""What a session costs a page, ours beside its peers: `python -m benchmarks.speed`.

benchmarks/README.md says what is measured and how.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.browser import PAGES
from benchmarks.cli import Blocks, say
from benchmarks.peers.stacks import STACKS, Stack
from benchmarks.peers.stores import Stores
from benchmarks.speed import check, figures
from benchmarks.speed.figures import Figures, Results, Round
from benchmarks.speed.load import cpu_seconds, load, peak_memory

CONNECTIONS = 16
COUNTED_VISITS = 240


class Entry:
    """A stack that takes part: started, checked, with a cookie for each connection."""

    def __init__(
        self, stack: Stack, stores: Stores, directory: Path, processes: int, exits: ExitStack
    ) -> None:
        say(f"{stack.name}: install, start, check")
        self.stack, self.stores = stack, stores
        url = stores.url(stack)
        sites = [stack.start(url, directory, core=number) for number in range(processes)]
        for site in sites:
            exits.enter_context(site)
        self.ports, self.pids = [site.port for site in sites], [site.pid for site in sites]
        check_pages = check.check_sessions if stack.store else check.check_no_sessions
        self.pages = check_pages(self.ports)
        self.visitors = check.visitors(self.ports[0], CONNECTIONS) if stack.store else []
        self.cookies = directory / f"{stack.key}.cookies"
        sent = [visitor.cookie for visitor in self.visitors] or [""] * CONNECTIONS
        self.cookies.write_text("".join(f"{cookie}\n" for cookie in sent))
        self.figures = Figures(stack, [len(html.encode()) for html in self.pages.values()])

    def prepare(self, seconds: int) -> None:
        """Warm the server up, and count its statements."""
        load(self.ports, self.cookies, min(3, seconds))
        if self.stack.store:
            with self.stores.statements(self.stack) as seen:
                for number in range(COUNTED_VISITS):
                    check.visit(self.visitors[number % 4], PAGES[number // 4 % len(PAGES)])
            kinds = {kind: round(n / COUNTED_VISITS, 2) for kind, n in seen.items()}
            # Once or twice in all: the store's own, not the visits'.
            self.figures.statements = {kind: n for kind, n in kinds.items() if n > 0.02}

    def time(self, seconds: int) -> None:
        """Load it for one slice of time, between two looks at what its processes have used."""
        self.stores.checkpoint()
        database = self.stores.pids(self.stack)
        before = cpu_seconds(self.pids), cpu_seconds(database)
        seen = load(self.ports, self.cookies, seconds)
        server, stored = cpu_seconds(self.pids) - before[0], cpu_seconds(database) - before[1]
        if seen.errors or not seen.requests:
            raise check.NotWorking(f"{self.stack.name}, under load: {seen}")
        done = Round(
            rate=seen.requests / seen.duration * 1e6,
            p50=seen.p50 / 1000,
            p99=seen.p99 / 1000,
            server=server / seen.requests * 1e6,
            database=stored / seen.requests * 1e6,
        )
        self.figures.rounds.append(done)
        say(f"{self.stack.name:31}{done.rate:6.0f} requests/s   p99 {done.p99:6.1f} ms")

    def finish(self) -> None:
        self.figures.memory = peak_memory(self.pids)
        for visitor in self.visitors[:1]:
            check.check_still(visitor)


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    if args.quick:
        args.rounds = args.seconds = 1
    with ExitStack() as exits:
        stores = Stores(directory, exits)
        entries = {
            key: Entry(STACKS[key], stores, directory, args.processes, exits) for key in args.only
        }
        reference = entries.get("sessionsite") or entries[args.only[0]]
        for entry in entries.values():
            check.check_same(entry.pages, reference.pages)
            entry.prepare(args.seconds)
        for number in range(args.rounds):
            say(f"round {number + 1} of {args.rounds}")
            for entry in entries.values():
                entry.time(args.seconds)
        for entry in entries.values():
            entry.finish()
        where = machine.description(stores.postgres)
    results = Results({key: entry.figures for key, entry in entries.items()})
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
