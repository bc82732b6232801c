"""The soak: the site under full load while its parts die. `python -m tests.soak`.

Visitors (`visitors.py`) note in a ledger (`ledger.py`) what they are answered. Faults of every kind
(`faults.py`) befall the deployment (`deployment.py`). Afterwards `checker.py` compares the table
with the ledger, and `leaks.py` looks for what is left behind.
"""
