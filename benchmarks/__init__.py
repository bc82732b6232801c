"""The benchmarks; README.md says what is measured, and how."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCTION = str(ROOT / "production.ini")
