"""Four small apps with one set of pages, and what drives them: see benchmarks/races.py."""
