"""Nothing by hand that a library does as well: `python -m benchmarks.libraries`.

Each piece that the project does by hand, beside the library that could do it. The table goes to
LIBRARIES.md. Needs what requirements.txt beside this file lists.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import cli, machine
from benchmarks.cli import Blocks, say, table

FOLDER = Path(__file__).parent


def cpu(once: Callable[[], object], seconds: float) -> float:
    """Microseconds of this process's CPU, user and system."""
    once()
    count, start, end = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(20):
            once()
        count += 20
    return (time.process_time() - start) / count * 1e6


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    rounds, seconds = (2, 0.05) if args.quick else (11, 0.5)
    try:
        from benchmarks.libraries import pieces
    except ImportError as error:
        sys.exit(f"{error}: python -m pip install -r benchmarks/{FOLDER.name}/requirements.txt")
    with ExitStack() as exits:
        postgres = exits.enter_context(machine.postgres(directory))
        static, wire = pieces.static(directory), pieces.wire(postgres, exits)
        rows = []
        for what, library, ours, theirs in (*pieces.settings(), *static, *wire):
            say(f"{what}: {library}")
            pairs = [(cpu(ours, seconds), cpu(theirs, seconds)) for _ in range(rounds)]
            figures = [f"{median(each):.1f}" for each in zip(*pairs, strict=True)]
            rows.append([what, library, *figures, f"{median(b / a for a, b in pairs):.2f}"])
        where = machine.description(postgres)
    head = ["what", "library", "ours, µs", "the library's, µs", "ratio"]
    imports = [pieces.imports() for _ in range(rounds)]
    own, other = (median(each) for each in zip(*imports, strict=True))
    told = f"CPU of an import: our settings reader's {own:.1f} ms, pydantic-settings's {other:.1f}."
    return {"libraries": f"{table(head, rows)}\n{told}\n\n{where}"}


if __name__ == "__main__":
    sys.exit(cli.run(cli.options("libraries", __doc__, FOLDER / "LIBRARIES.md"), measure))
