"""What the programs share: options, the file they write, tables, progress."""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.harness import Missing
from tests.harness.process import tell_reaper

STOPPED = 130  # the exit status after Ctrl-C


@dataclass(frozen=True)
class Report:
    """What a program has found."""

    page: str
    """Markdown, for the file."""
    summary: str
    """For the terminal."""
    chart: str = ""
    """SVG, for a file beside the page."""
    complete: bool = True
    """Whether all was measured that was asked for."""


Measure = Callable[[argparse.Namespace, Path], Report]


def options(name: str, description: str | None, file: Path, quick: str) -> argparse.ArgumentParser:
    """The options of `python -m benchmarks.NAME`; `quick` says what --quick does."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help=f"{quick}, and no file")
    parser.add_argument("--output", type=Path, help=f"the report's file (default: {file.name})")
    parser.set_defaults(file=file, partial=lambda args: args.quick)
    return parser


def run(parser: argparse.ArgumentParser, measure: Measure) -> int:
    """Measure with the options given, in a directory that is gone afterwards; return the status."""
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        with tempfile.TemporaryDirectory() as directory:
            tell_reaper(directory, 0)
            report = measure(args, Path(directory))
            tell_reaper(directory, None)
    except Missing as missing:
        say(f"{missing}\n")
        return 1
    except KeyboardInterrupt:
        say("\nended\n")
        return STOPPED
    # A partial run does not replace the file that is kept.
    if target := args.output or (None if args.partial(args) else args.file):
        target.write_text(report.page)
        if report.chart:
            target.with_suffix(".svg").write_text(report.chart)
    sys.stdout.write(report.summary)
    return 0 if report.complete else 1


def dispatch(main: Callable[[], int], **parts: Callable[[], int]) -> int:
    """Run the part that the command line begins with, or else `main`."""
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        return parts[sys.argv.pop(1)]()
    return main()


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)  # leaves through every `with`, which end all that was started


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown: text to the left, all other columns to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def progress(what: str) -> Callable[[int, int], None]:
    """A function that shows on stderr how far `what` is: one line, or on a terminal one that moves.

    Its line ends when all is done.
    """
    started = time.monotonic()
    terminal = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        seconds = time.monotonic() - started
        if done >= total:
            say(f"{chr(13) if terminal else ''}{what}: {total:,} in {seconds:.0f} s\n")
        elif terminal:
            say(f"\r{what}: {done:,} of {total:,}, {seconds:.0f} s ")

    return show


def output(command: Sequence[str | Path]) -> str:
    """What `command` prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ours
    return done.stdout
