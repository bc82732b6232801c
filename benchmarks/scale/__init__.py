"""What more visitors, processes and rows need, told beforehand: see `__main__.py`."""
