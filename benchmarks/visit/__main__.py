"""What a visit costs in one thread, without a server: `python -m benchmarks.visit`.

One process or two serve requests to themselves, in turns: one with this checkout's code, one
with that of `--against`. The table goes to VISIT.md.
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import PRODUCTION, ROOT, cli, machine
from benchmarks.cli import Blocks, say, table

REQUESTS = {
    "visit": "a visit: a page that loads and saves its session",
    "read": "a page that loads its session only: a prefetch",
    "not found": "a page without a session: 404",
    "no session": "a bare view without a session",
    "opened": "the same view opens its session",
    "opened and saved": "the same view opens and saves it",
}
OWN = "what opening and saving adds"
TIMES = 100  # requests in a turn


class Child:
    """One process, and what was measured of it: microseconds by request, turn by turn."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.found: dict[str, list[float]] = {name: [] for name in REQUESTS}

    def turn(self, name: str, times: int) -> None:
        stdin: Any = self._process.stdin
        stdout: Any = self._process.stdout
        stdin.write(f"{name} {times}\n")
        stdin.flush()
        self.found[name].append(float(stdout.readline()))

    @property
    def own(self) -> list[float]:
        """What a session that is opened and saved adds, turn by turn."""
        pairs = zip(self.found["opened and saved"], self.found["no session"], strict=True)
        return [with_ - without for with_, without in pairs]


@contextmanager
def child(checkout: Path, url: str) -> Iterator[Child]:
    """A process with the code of `checkout`, and the store at `url`."""
    command = [sys.executable, str(Path(__file__).with_name("child.py")), url, PRODUCTION]
    environ = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "SESSION_SECRET": secrets.token_hex(24),
        "SITE_HOSTS": "bench.example",
        "DATABASE_URL": "sqlite:///unused",
    }
    with subprocess.Popen(  # noqa: S603  # ours
        command, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        made = Child(process)
        try:
            yield made
        finally:
            process.stdin.close()  # type: ignore[union-attr]


def compared(checkouts: list[Path], urls: list[str], rounds: int, times: int) -> list[list[str]]:
    """The rows of one store: the medians of each checkout, and of the ratios in each round."""
    with ExitStack() as exits:
        children = [
            exits.enter_context(child(path, url)) for path, url in zip(checkouts, urls, strict=True)
        ]
        for number in range(rounds):
            for name in REQUESTS:
                for each in children if number % 2 else reversed(children):
                    each.turn(name, times)
    rows = []
    texts = {**REQUESTS, OWN: OWN}
    for name, text in texts.items():
        found = [each.own if name == OWN else each.found[name] for each in children]
        figures = [f"{median(each):.0f}" for each in found]
        if len(found) == 2:
            figures.append(f"{median(a / b for a, b in zip(*found, strict=True)):.2f}")
        rows.append([text, *figures])
    return rows


def measure(args: argparse.Namespace, directory: Path) -> Blocks:
    rounds, times = (2, 20) if args.quick else (args.rounds, TIMES)
    checkouts = [ROOT, *([args.against] if args.against else [])]
    header = ["CPU µs", "now", *(["before", "of that"] if args.against else [])]
    with machine.postgres(directory) as postgres:
        databases = {
            "memory": ["memory" for _ in checkouts],
            "SQLite": [f"sqlite:///{directory}/{i}.db" for i, _ in enumerate(checkouts)],
            "PostgreSQL": [postgres.create_database("visit") for _ in checkouts],
        }
        rows = []
        for name in args.stores:
            say(f"in {name}: {rounds} rounds")
            found = compared(checkouts, databases[name], rounds, times)
            rows += [[f"{name}: {text}", *figures] for text, *figures in found]
        return {"visit": table(header, rows), "machine": machine.description(postgres)}


def main() -> int:
    file = Path(__file__).parent / "VISIT.md"
    parser = cli.options("visit", __doc__, file)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--against", type=Path, help="another checkout of the project")
    stores = ["memory", "SQLite", "PostgreSQL"]
    parser.add_argument("--stores", nargs="+", choices=stores, default=stores)
    return cli.run(parser, measure)


if __name__ == "__main__":
    sys.exit(main())
