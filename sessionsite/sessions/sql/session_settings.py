"""What the store needs of a PostgreSQL session, whatever the server's defaults are.

A database, a role and an operator's `options` can set each of these to values under which a store
fails: an isolation level that answers parallel saves with an error, transactions that may not
write, limits that end a statement too early or never.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

# What is set, to what, and the first version of PostgreSQL that knows it. Those of `Limits` aside.
_NEEDED = (
    ("default_transaction_isolation", "read committed", 0),
    ("default_transaction_read_only", "off", 0),
    ("default_transaction_deferrable", "off", 0),
    ("idle_session_timeout", "0", 140000),
    ("transaction_timeout", "0", 170000),
)
# The isolation level and the rest of the first lines, for one transaction.
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"
_LONG = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a statement may take, in seconds.

    The server's own limits come first, so that no statement stays behind in it. Where it keeps
    none, since it is frozen, cut off, or waits for a standby, the client's clock ends the wait.
    """

    lock: float
    statement: float
    answer: float
    """The client's."""
    idle: float
    """Between two statements of a transaction."""
    change: float
    """The same where an app's change is called in between."""

    @classmethod
    def of_requests(cls, seconds: float, change: float) -> "Limits":
        """Return the limits of statements that are to be given up within `seconds`."""
        return cls(0.6 * seconds, 0.8 * seconds, 0.9 * seconds, 0.9 * seconds, change)

    def of_long_work(self) -> "Limits":
        """Return those of statements on many rows, for which no visitor waits.

        Locks are given up as early as by requests, since requests may wait behind this work.
        """
        longest = max(_LONG, self.answer)
        return replace(self, statement=longest, answer=1.1 * longest, idle=longest)


def needed(limits: Limits, version: int) -> Mapping[str, str]:
    """Return the value of each setting; `version`: the server's, as libpq has it."""
    fixed = {name: value for name, value, first in _NEEDED if version >= first}
    return fixed | {
        "lock_timeout": _milliseconds(limits.lock),
        "statement_timeout": _milliseconds(limits.statement),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle),
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


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
