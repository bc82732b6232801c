"""The tests. Their folders mirror the code; `harness` starts the servers that they run against."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
