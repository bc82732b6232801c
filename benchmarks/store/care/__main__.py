"""What to set on the table, and what to do to it: `python -m benchmarks.store.care`.

Autovacuum, fillfactor, what a flood leaves and how to get it back, partitions, UNLOGGED. What is
compared is run in turns, and each figure is the median of its turns. The tables go to CARE.md.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Blocks
from benchmarks.store.care import partitions, space, unlogged, updates
from benchmarks.store.rows import tuned_postgres


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    quick: bool = args.quick
    (directory / "durable").mkdir()
    with machine.postgres(directory / "durable", fsync="on", full_page_writes="on") as postgres:
        blocks = {"unlogged": unlogged.measure(postgres, directory, quick)}
    # Autovacuum looks once a minute: a minute of a site is a second here.
    with tuned_postgres(directory, autovacuum_naptime="1s") as postgres:
        blocks["flood"], blocks["ways"] = space.measure(postgres, quick)
        blocks["autovacuum"] = updates.autovacuum(postgres, directory, quick)
        blocks["fillfactor"] = updates.fillfactor(postgres, directory, quick)
        blocks["partitions"] = partitions.measure(postgres, quick)
        blocks["machine"] = machine.description(postgres)
    return blocks


if __name__ == "__main__":
    file = Path(__file__).parents[1] / "CARE.md"
    sys.exit(cli.run(cli.options("store.care", __doc__, file), measure))
