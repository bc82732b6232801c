"""Compares the site with its peers: `make bench`, `make bench-quick`, or by hand with options:

    python -m benchmarks.run --help

README.md, beside this file, says what is measured and how.
"""
# ruff: noqa: T201

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import report
from benchmarks.bench import FAILURES, Bench, Options
from benchmarks.cli import HERE, STOPPED
from benchmarks.contestants import CONTESTANTS


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    keys = [contestant.key for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--quick", action="store_true", help="3 rounds of 3 seconds, in under three minutes")
    add("--rounds", type=int, help="how often each is timed, in turns (5)")
    add("--seconds", type=float, help="how long each time (8)")
    add("--only", nargs="+", choices=keys, metavar="KEY", help=f"who: {', '.join(keys)}")
    add("--processes", type=int, choices=(1, 2), default=1, help="of each contestant (1)")
    add("--no-pin", action="store_true", help="Python servers on any core, as all others are")
    add("--no-fsync", action="store_true", help="a PostgreSQL that never waits for the disk")
    add("--output", type=Path, help="the folder for the report (that of this file)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 if any contestant could not be measured."""
    given = parse(arguments)
    options = Options(
        rounds=given.rounds or (3 if given.quick else 5),
        seconds=given.seconds or (3 if given.quick else 8),
        warm_up=1 if given.quick else 3,
        processes=given.processes,
        pin=not given.no_pin,
        durable=not given.no_fsync,
        only=tuple(given.only or ()),
    )
    # A partial run, or one that is set up otherwise, does not replace the report that is kept.
    other = given.no_pin or given.no_fsync
    partial = given.quick or given.rounds or given.seconds or given.only or other
    output = given.output or (HERE / ".runs" if partial else HERE)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with ExitStack() as stack:
            results = Bench(options, stack).run()
    except KeyboardInterrupt:
        print("stopped, nothing is written", file=sys.stderr)
        return STOPPED
    except FAILURES as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    written = report.write(results, output)
    print(report.summary(results))
    print(f"written: {written}")
    return 1 if results.missing else 0


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)  # leaves through the ExitStack, which ends all that was started


if __name__ == "__main__":
    sys.exit(main())
