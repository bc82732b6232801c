"""Nothing by hand that a library does as well: `python -m benchmarks.libraries`.

Each piece that the project does by hand, beside the library that could do it. The table goes to
LIBRARIES.md. Needs what requirements.txt beside this file lists.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import cli, machine
from benchmarks.cli import Report, say, table
from benchmarks.libraries import wire
from benchmarks.libraries.compare import Row
from tests.harness.postgres import start_postgres

FOLDER = Path(__file__).parent
# What follows for each library; figures are in the table.
CONCLUSIONS = {
    "pydantic-settings": "Ours stays: a reader of 200 lines against an import that each process "
    "pays at its start, and pydantic knows no `none`, suggests no key and shows a secret in its "
    "error unless told otherwise. It reads faster, once in the life of a process.",
    "Pyramid's static view": "Ours stays, as a cache buster of Pyramid's own interface: Pyramid "
    "brings one that puts the same word into every URL, and one that reads a manifest which a "
    "build step has written. Neither hashes content, none says `immutable`, and the old name has "
    "to stay short-lived while processes are upgraded.",
    "WhiteNoise": "Ours stays: WhiteNoise hashes for Django alone. Elsewhere it serves the hashed "
    "names that a build step has made, and knows nothing of the URLs in templates. It is faster, "
    "by what a Pyramid request costs, which browsers spare us after the first visit.",
    "psycopg's generators, no time-out": "A loop in C, but one that waits without an end.",
    "the same with our time-out": "Ours stays: with the end that the store promises, a generator "
    "in Python has to stand around psycopg's loop.",
}


def page(rows: list[Row], where: str) -> str:
    told = "\n".join(f"- **{library}**: {text}" for library, text in CONCLUSIONS.items())
    return f"""# By hand, and by a library

Written by `python -m benchmarks.libraries` (`make bench-libraries`). CPU of one call in one
thread, unless another unit is named; medians of several rounds, in each of them one after the
other. The ratio is the library's figure, of ours: above 1, ours takes less.

{as_table(rows)}
{told}

What a library does now, and the project did by hand before: the progress bar (click), URLs of
PostgreSQL (libpq's own parser), values on the wire (psycopg's codecs in C, which took 0.2 of the
CPU to read a row and 0.35 to send one).

{where}"""


def as_table(rows: list[Row]) -> str:
    return table(
        ["what", "library", "ours", "the library's", "ratio"],
        [
            [
                row.piece,
                row.library,
                f"{row.ours:.1f} {row.unit}",
                f"{row.theirs:.1f} {row.unit}",
                f"{row.ratio:.2f}",
            ]
            for row in rows
        ],
    )


def measured(args: argparse.Namespace, directory: Path) -> Report:
    rounds, seconds = (3, 0.1) if args.quick else (11, 0.5)
    try:
        from benchmarks.libraries import settings, static
    except ImportError as error:
        sys.exit(f"{error}: python -m pip install -r benchmarks/{FOLDER.name}/requirements.txt")
    rows = []
    say("settings, static files\n")
    rows += settings.rows(rounds, seconds) + static.rows(rounds, seconds)
    say("the wire\n")
    with start_postgres(directory) as postgres:
        rows += wire.rows(postgres, rounds, seconds)
        names = ["psycopg", "pydantic-settings", "whitenoise", "pyramid"]
        where = machine.in_short(names, postgres)
    return Report(page(rows, where), as_table(rows))


if __name__ == "__main__":
    parser = cli.options("libraries", __doc__, FOLDER / "LIBRARIES.md", "3 short rounds")
    sys.exit(cli.run(parser, measured))
