"""What more visitors, processes and rows need, told beforehand: `python -m benchmarks.scale`.

It measures small parts (one process with 1 and with 4 visitors; a few rows), predicts from them
what more of each do, and measures that too. Then it works out what up to 10^9 sessions need. The
tables go to SCALE.md; docs/scale.md explains them.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import cli, machine
from benchmarks.cli import Blocks, say, table
from benchmarks.peers.stores import Stores
from benchmarks.scale import in_memory, paper, wal
from benchmarks.scale.measure import CORES, Idle, Seen, Sites, busy_neighbour
from benchmarks.scale.model import THREADS, Costs, Predicted, Site, predict

CHECKED = (Site(16), Site(4, processes=2), Site(16, processes=2))
# More than this machine has.
OTHERS = (
    Site(64, processes=8, cores=8, database_cores=4),
    Site(256, processes=32, cores=32, database_cores=4),
    Site(256, processes=32, cores=32, database_cores=8),
    Site(512, processes=64, cores=64, database_cores=32),
)
ROWS = ((50_000, 2_000), (50_000, 5_000), (100_000, 5_000))  # with so many visits
SMALL = 10_000  # rows
NEARLY = 0.7


@dataclass
class Round:
    """A page's costs, and what was predicted from them beside what was measured."""

    costs: Costs
    checked: list[tuple[Predicted, Seen]] = field(default_factory=list)


def costs(alone: Seen, several: Seen, crowded: Seen) -> Costs:
    """What a page takes, from one visitor, from one for each thread, and these beside a neighbour.

    The more cores have work, the slower is each: several visitors, and other programs, have gone a
    part of the way from one busy core to all of them. Where that is nearly the whole way, the
    neighbour tells nothing, and what was measured is what a page takes with all cores busy.
    """
    cpu, most = (each.server + each.database for each in (several, crowded))
    busy = several.rate * (cpu + several.client) / 1e6 + several.others
    part = max(0.0, (busy - 1) / (CORES - 1))
    base = min(cpu, (cpu - most * part) / (1 - part)) if part < NEARLY else cpu
    spent = alone.server + alone.database + alone.client  # on what others leave of the cores
    return Costs(
        several.server * base / cpu,
        several.database * base / cpu,
        several.client * base / cpu,
        wait=max(0.0, 1e6 / alone.rate - spent / min(1.0, max(0.1, CORES - alone.others))),
        crowd=max(1.0, most / base) if part < NEARLY else 1.0,
    )


def rounds(args: argparse.Namespace, sites: dict[int, Sites], idle: Idle) -> list[Round]:
    found = []
    for number in range(args.rounds):
        say(f"round {number + 1} of {args.rounds}")
        alone = idle.seen(partial(sites[1].visited, 1, args.seconds))
        several = idle.seen(partial(sites[1].visited, THREADS, args.seconds))
        with busy_neighbour():
            crowded = sites[1].visited(THREADS, args.seconds)
        this = Round(costs(alone, several, crowded))
        say(f"{this.costs}\nfrom {alone}\n{several}\n{crowded}")
        for site in CHECKED:
            visited = partial(sites[site.processes].visited, site.visitors, args.seconds)
            seen = idle.seen(visited)
            there = Site(site.visitors, site.processes, CORES, seen.others)
            predicted = predict(this.costs, there, 2_000 if args.quick else 20_000)
            this.checked.append((predicted, seen))
            say(f"{named(site)}: {predicted.rate:,.0f} predicted, {seen}")
        found.append(this)
    return found


def named(site: Site) -> str:
    return f"{site.processes} process{'es' * (site.processes > 1)}, {site.visitors} visitors"


def beside(name: str, predicted: Sequence[float], seen: Sequence[float]) -> list[str]:
    """A line: medians, and the median of the ratios, each computed in its round."""
    ratios = [one / other for one, other in zip(predicted, seen, strict=True)]
    shown = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [
        name,
        f"{median(predicted):,.0f}",
        f"{median(seen):,.0f}",
        f"{median(ratios):.2f}<br><small>{shown}</small>",
    ]


def checked(found: list[Round]) -> str:
    lines = []
    for number, site in enumerate(CHECKED):
        pairs = [each.checked[number] for each in found]
        for what, one, other in (
            ("pages/s", [p.rate for p, _ in pairs], [s.rate for _, s in pairs]),
            ("p50, µs", [p.p50 * 1e3 for p, _ in pairs], [s.p50 * 1e3 for _, s in pairs]),
            ("server CPU, µs", [p.server for p, _ in pairs], [s.server for _, s in pairs]),
            ("database CPU, µs", [p.database for p, _ in pairs], [s.database for _, s in pairs]),
        ):
            lines.append(beside(f"{named(site)}: {what}", one, other))
    return table(["", "predicted", "measured", "ratio"], lines)


def parts(found: list[Round], row: wal.Row, packed: wal.Row, redis: float) -> str:
    every = [each.costs for each in found]
    lines = [
        ["server CPU per page, µs", f"{median(c.server for c in every):,.0f}"],
        ["database CPU per page, µs", f"{median(c.database for c in every):,.0f}"],
        ["wrk's CPU per page, µs", f"{median(c.client for c in every):,.0f}"],
        ["what a page waits beside that, µs", f"{median(c.wait for c in every):,.0f}"],
        ["CPU beside a busy neighbour", f"{median(c.crowd for c in every):.2f} of that alone"],
        ["table, bytes per row", f"{row.table:,.0f}"],
        ["indexes, bytes per row", f"{row.indexes:,.0f}"],
        ["log of a visit, bytes", f"{row.record:,.0f}"],
        ["log of a page's first change after a checkpoint, bytes", f"{row.image:,.0f}"],
        ["the same with `wal_compression = on`", f"{packed.image:,.0f}"],
        ["in Redis, bytes per session", f"{redis:,.0f}"],
    ]
    return table(["one process; a few rows", "measured"], lines)


def rows(stores: Stores, row: wal.Row, quick: bool) -> str:
    lines = []
    for count, visits in ((2_000, 200),) if quick else ROWS:
        say(f"{visits:,} visits to {count:,} rows")
        size, log = wal.large(stores.postgres, count, visits)
        name = f"{visits:,} visits to {count:,} rows"
        lines.append(beside(f"{name}: log per visit, bytes", [row.log(count, visits)], [log]))
        lines.append(beside(f"{name}: bytes per row", [row.table + row.indexes], [size]))
    return table(["", "predicted", "measured", "ratio"], lines)


def elsewhere(found: list[Round]) -> str:
    """What other machines would do: the medians of the costs, crowded."""
    names = ("server", "database", "client", "wait", "crowd")
    typical = Costs(*(median(getattr(each.costs, name) for each in found) for name in names))
    lines = []
    for site in OTHERS:
        said = predict(typical, site, 10_000)
        cells = [site.processes, site.database_cores, site.visitors, f"{said.rate:,.0f}"]
        shares = [f"{said.p50:.1f}", f"{said.busy:.0%}", f"{said.database_busy:.0%}"]
        lines.append([*cells, *shares])
    header = ["processes", "PostgreSQL's cores", "requests at once", "pages/s", "p50, ms"]
    return table([*header, "the site's cores", "PostgreSQL's"], lines)


def compressed(stores: Stores, count: int) -> wal.Row:
    with stores.postgres.connect() as connection:
        connection.execute("ALTER SYSTEM SET wal_compression = on")
        connection.execute("SELECT pg_reload_conf()")
        found = wal.small(stores.postgres, count)
        connection.execute("ALTER SYSTEM RESET wal_compression")
        connection.execute("SELECT pg_reload_conf()")
    return found


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    if args.quick:
        args.rounds, args.seconds, args.patience = 1, 1, 0
    count = 2_000 if args.quick else SMALL
    with ExitStack() as exits:
        stores = Stores(directory, exits)
        say(f"{count:,} rows")
        row, packed = wal.small(stores.postgres, count), compressed(stores, count)
        logs = rows(stores, row, args.quick)
        redis = in_memory.bytes_per_session(stores.redis, count)
        idle = Idle(args.patience)
        sites = {n: Sites(stores, directory, n, exits) for n in {s.processes for s in CHECKED}}
        found = rounds(args, sites, idle)
        others = max(seen.others for each in found for _, seen in each.checked)
        where = machine.description(stores.postgres)
    said = (
        f"Rounds: {args.rounds}, slices of {args.seconds} s. Others used {others:.2f} cores at "
        f"most. {idle.repeated} slices in which they used more than {Idle.LIMIT} were measured "
        "anew.\n"
    )
    return {
        "parts": parts(found, row, packed, redis),
        "checked": checked(found),
        "rows": logs,
        "elsewhere": elsewhere(found),
        "needs": paper.needs(row),
        "machine": said + where,
    }


if __name__ == "__main__":
    parser = cli.options("scale", __doc__, Path(__file__).parent / "SCALE.md")
    add = parser.add_argument
    add("--rounds", type=int, default=7, help="how often each is measured, in turns (7)")
    add("--seconds", type=int, default=3, help="how long each time (3)")
    add("--patience", type=float, default=1200, help="seconds to wait for an idle machine (1200)")
    sys.exit(cli.run(parser, measure))
