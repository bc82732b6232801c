"""What a session costs a page, ours beside its peers: `python -m benchmarks.speed`.

With `memory` as the first word, the server's memory over many visits. benchmarks/README.md says
what is measured and how.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import cli
from benchmarks.cli import Report
from benchmarks.peers.stacks import STACKS
from benchmarks.speed import report
from benchmarks.speed.bench import FAILURES, Bench, Options

FILE = Path(__file__).parent / "RESULTS.md"


def parser() -> argparse.ArgumentParser:
    keys = [stack.key for stack in STACKS]
    parser = cli.options("speed", __doc__, FILE, "3 rounds of 3 seconds, in under three minutes")
    add = parser.add_argument
    add("--rounds", type=int, help="how often each is timed, in turns (5)")
    add("--seconds", type=int, help="how long each time (8)")
    add("--only", nargs="+", choices=keys, metavar="KEY", help=f"who: {', '.join(keys)}")
    add("--processes", type=int, choices=(1, 2), default=1, help="of each stack (1)")
    add("--no-pin", action="store_true", help="Python servers on any core, as all others are")
    add("--no-fsync", action="store_true", help="a PostgreSQL that never waits for the disk")
    add("--here", action="store_true", help="ours on the Python that runs this, as it is installed")
    parser.set_defaults(partial=partial)
    return parser


def partial(args: argparse.Namespace) -> bool:
    """Whether the run is partial, or set up otherwise than the one whose report is kept."""
    partial = args.quick or args.rounds or args.seconds or args.only
    return bool(partial or args.no_pin or args.no_fsync or args.here)


def measured(args: argparse.Namespace, directory: Path) -> Report:
    options = Options(
        rounds=args.rounds or (3 if args.quick else 5),
        seconds=args.seconds or (3 if args.quick else 8),
        warm_up=1 if args.quick else 3,
        processes=args.processes,
        pin=not args.no_pin,
        durable=not args.no_fsync,
        only=tuple(args.only or ()),
        base=Path(sys.executable) if args.here else None,
    )
    if args.processes > 1:
        args.file = args.file.with_stem(f"{args.file.stem}-{args.processes}-processes")
    try:
        with ExitStack() as exits:
            results = Bench(options, directory, exits).run()
    except FAILURES as error:
        sys.exit(f"benchmarks: {error}")
    page = report.markdown(results, (args.output or args.file).with_suffix(".svg").name)
    return Report(page, report.summary(results), report.chart(results), not results.missing)


def main() -> int:
    return cli.run(parser(), measured)
