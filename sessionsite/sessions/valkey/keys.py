"""The names of the keys: one session's, or one owner's, have one hash tag, so one slot."""

import re
from collections.abc import Sequence
from hashlib import sha256

from .rows import encoded


class Keys:
    """The names of the keys below one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.health = encoded(f"{prefix}{{health}}")
        self.pruned = encoded(f"{prefix}{{prune}}")
        self.sweeping = encoded(f"{prefix}{{prune}}:lock")
        escaped = re.sub(r"([*?\[\]\\])", r"\\\1", prefix)
        self.pattern = f"{escaped}{{s:*}}"
        """Matches the rows of all sessions, and nothing else."""

    def session(self, id: str) -> Sequence[bytes]:
        """Return the key of a session's row, and that of its lock."""
        row = encoded(f"{self._prefix}{{s:{id}}}")
        return row, row + b":lock"

    def owner(self, owner: str) -> Sequence[bytes]:
        """Return the key of an owner's set, and that of its lock; they don't tell the owner."""
        name = sha256(encoded(owner)).hexdigest()
        ids = encoded(f"{self._prefix}{{o:{name}}}")
        return ids, ids + b":lock"

    def id_of(self, row: bytes) -> str:
        """Return the id of the session whose row has this key."""
        start = len(encoded(f"{self._prefix}{{s:"))
        return row[start:-1].decode("utf-8", "surrogatepass")
