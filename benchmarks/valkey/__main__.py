"""The store on Valkey or Redis: `python -m benchmarks.valkey`.

What a cluster of three masters and their replicas loses when a master dies under load, and how long
pruning takes on one server. The tables go to VALKEY.md; docs/valkey.md has them too.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Blocks
from benchmarks.valkey import failover, pruning
from tests.harness.redis import find_server


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    where = machine.described(
        machine.said(find_server() or "redis-server", "--version").partition(" sha")[0], ["redis"]
    )
    pruned = pruning.measure(3_000 if args.quick else 1_000_000, directory)
    cases = [replace(failover.CASES[0], runs=1)] if args.quick else failover.CASES
    lost = failover.measure(cases, directory)
    return {"failover": lost, "pruning": pruned, "where": where}


if __name__ == "__main__":
    parser = cli.options("valkey", __doc__, Path(__file__).parent / "VALKEY.md")
    sys.exit(cli.run(parser, measure))
