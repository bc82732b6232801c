"""What the programs share: options, the page that they write figures into, tables."""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness import Missing
from tests.harness.process import tell_reaper

Blocks = dict[str, str]
"""What a program has found, by the name of the block of its page; `svg` is the chart beside it."""


def options(name: str, description: str | None, file: Path) -> argparse.ArgumentParser:
    """Those that all programs have; `file` is the page of `python -m benchmarks.NAME`."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="shows that it works; no page")
    parser.add_argument("--output", type=Path, help=f"the page to write (default: {file.name})")
    parser.set_defaults(file=file)
    return parser


def run(
    parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace, Path], Blocks]
) -> int:
    """Measure in a directory that is gone afterwards, and write the page; return the status."""
    args = parser.parse_args()
    # A part of a run does not replace the page that is kept.
    whole = all(value == parser.get_default(name) for name, value in vars(args).items())
    try:
        with tempfile.TemporaryDirectory() as directory:
            tell_reaper(directory, 0)  # even if we are killed
            blocks = measure(args, Path(directory))
            tell_reaper(directory, None)
    except Missing as missing:
        say(str(missing))
        return 1
    if target := args.output or (args.file if whole else None):
        chart = target.with_suffix(".svg")
        if drawn := blocks.pop("svg", ""):
            chart.write_text(drawn)
        page = args.file.read_text().replace(f"({args.file.stem}.svg)", f"({chart.name})")
        target.write_text(filled(page, blocks))
    blocks.pop("svg", None)
    sys.stdout.write(re.sub("<br><small>.*?</small>", "", "\n".join(blocks.values())))
    return 0


def filled(page: str, blocks: Blocks) -> str:
    """The page with new figures: its text is written by hand, and the blocks by programs."""
    for name, text in blocks.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->\n"
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"the page has no block {name}")
        page = f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
    return page


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown: text to the left, all other columns to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
