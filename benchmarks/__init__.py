"""The benchmark against peers; README.md says what is measured, and how."""
