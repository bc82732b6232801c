"""What the store needs of a PostgreSQL session, whatever the server's defaults are.

A database, a role and an operator's `options` can set each of these to values under which a store
fails: an isolation level that answers parallel saves with an error, transactions that may not
write, limits that end a statement before the store does.
"""

from collections.abc import Mapping

_LIMIT = "?"  # in its place: how long the store itself waits, and a second more
# What is set, to what, and the first version of PostgreSQL that knows it.
_NEEDED = (
    ("default_transaction_isolation", "read committed", 0),
    ("default_transaction_read_only", "off", 0),
    ("default_transaction_deferrable", "off", 0),
    # The store's own clock is the first to end a wait. These leave no statement behind it.
    ("lock_timeout", _LIMIT, 0),
    ("statement_timeout", _LIMIT, 0),
    # A change that `transact` calls may take its time.
    ("idle_in_transaction_session_timeout", "0", 0),
    ("idle_session_timeout", "0", 140000),
    ("transaction_timeout", "0", 170000),
)
# The isolation level and the rest of the first lines, for one transaction.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"


def needed(seconds: float, version: int) -> Mapping[str, str]:
    """Return the value of each setting.

    `seconds`: how long the store waits for an answer. `version`: the server's, as libpq has it.
    """
    limit = str(int((seconds + 1) * 1000))
    return {
        name: limit if value == _LIMIT else value
        for name, value, first in _NEEDED
        if version >= first
    }


def for_the_session(settings: Mapping[str, str]) -> bytes:
    """Return the statements that set `settings` for good, to be sent as one query."""
    return "; ".join(f"SET {name} = '{value}'" for name, value in settings.items()).encode()


def for_a_transaction(settings: Mapping[str, str]) -> bytes:
    """Return the statement that sets `settings` in a transaction that `BEGIN` has begun."""
    called = ", ".join(
        f"set_config('{name}', '{value}', true)"
        for name, value in settings.items()
        if not name.startswith("default_")
    )
    return f"SELECT {called}".encode()
