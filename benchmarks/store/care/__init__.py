"""What to set on the table, and what to do to it: see `__main__.py`."""
