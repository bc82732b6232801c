"""Ten minutes of full load and of faults: `python -m tests.soak [--minutes N] [--seed N]`.

Ends with 1 if a visit that was answered 200 is missing, doubled or out of place, or if something
leaks. The order of faults follows from the seed, what meets what does not. With --keep DIRECTORY
the logs of all servers stay there.
"""

import argparse
import secrets
import signal
import sys
import tempfile
from pathlib import Path

from tests.harness import Missing
from tests.harness.process import tell_reaper
from tests.soak.run import soak


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY")
    args = parser.parse_args()
    # A shell that starts it in the background has SIGINT ignored, in the processes of the site too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.write(f"--minutes {args.minutes:g} --seed {args.seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as temporary:
        tell_reaper(temporary, 0)  # even if we are killed
        if args.keep:
            args.keep.mkdir(parents=True)
        try:
            outcome = soak(args.keep or Path(temporary), 60 * args.minutes, args.seed)
        except Missing as missing:
            sys.stderr.write(f"{missing}\n")
            return 1
        tell_reaper(temporary, None)
    sys.stdout.write(outcome.text)
    return int(bool(outcome.faults))


if __name__ == "__main__":
    sys.exit(main())
