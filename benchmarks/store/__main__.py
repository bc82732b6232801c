"""`python -m benchmarks.store`, and `python -m benchmarks.store growth`."""

import sys

from benchmarks.cli import dispatch
from benchmarks.store import alone, growth

if __name__ == "__main__":
    sys.exit(dispatch(alone.main, growth=growth.main))
