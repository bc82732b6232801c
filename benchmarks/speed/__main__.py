"""`python -m benchmarks.speed`, and `python -m benchmarks.speed memory`."""

import sys

from benchmarks.cli import dispatch
from benchmarks.speed import memory, pages

if __name__ == "__main__":
    sys.exit(dispatch(pages.main, memory=memory.main))
