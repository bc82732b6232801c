"""The owners' sets: which sessions are whose, each set in a slot of its own.

A row is in one slot and its owner's set in another, and no script has both. What holds whatever
dies, and whenever, is this: **the set of an owner names every session that has the owner**, and
perhaps some more. A session is its owner's if the set names it and its row says so; the rest is
stale, and goes at the next look.

- An id is put into the set before its row gets the owner: that is its reservation, with the time.
- The row is then written within `RESERVED` seconds, by its own server's clock, or not at all.
- Whoever looks at the set reads the rows. An id whose row is not there, or is another owner's, is
  removed if its reservation is older than `LAPSED` seconds, and is still the one that was read.
  So no row can come after its id was removed, as long as the clocks of the masters differ by less
  than the rest.
- A row is deleted first, and its id is removed after that.

A process that dies in between leaves an id without a row, never a row without its id. A server may:
one that has lost its last writes, at a failover, has lost the id of a session whose row is on
another, or has a row again whose id was removed. **The set is right then**: pruning ends a session
that its owner's set does not name (`pruning.py`), since nobody could end it through the owner.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from ..own import RESERVED_OWNER
from ..store import MalformedRecordError, Record, StoreError
from . import scripts
from .client import Client
from .keys import Keys
from .locking import Patience
from .rows import HEAD_BYTES, encoded, unpack_head
from .scripts import HELD

RESERVED, LAPSED = 30, 90  # seconds
_LOOK = 32  # ids, after which a set is looked at again


class LapsedError(StoreError):
    """A lock has lapsed before its holder was done."""

    is_outage = False


class Owners:
    """The sets of all owners, and their locks."""

    def __init__(self, client: Client, keys: Keys, patience: Patience, lease: float) -> None:
        """`lease`: the seconds after which a lock lapses."""
        self._client = client
        self._keys = keys
        self._patience = patience
        self._lease = int(1000 * lease)

    def reserve(self, owner: str | None, id: str, token: str = "") -> str:
        """Name the session in the owner's set, and return until when its row may be written.

        "" for no owner. Raises `LapsedError` if the owner's lock is not ours any more, by `token`.
        """
        if owner is None or owner == RESERVED_OWNER:  # marks of ours, which nobody asks for
            return ""
        keys = self._keys.owner(owner)
        answer = self._client.script(scripts.RESERVE, keys, encoded(id), token, self._lease)
        if answer == HELD:
            raise LapsedError("the owner's lock has lapsed")
        now, size = answer
        if size % _LOOK == 0:  # or a set whose owner nobody ever asks for would grow
            with suppress(StoreError):
                self.live(owner)
        return str(now + 1000 * RESERVED)

    def live(self, owner: str) -> list[Record]:
        """Return the owner's sessions, expired ones too; without their payloads."""
        if owner == RESERVED_OWNER:
            return []
        ids_key, _ = self._keys.owner(owner)
        pairs = self._client.command("ZRANGE", ids_key, 0, -1, "WITHSCORES", key=ids_key)
        ids = [stored.decode("utf-8", "surrogatepass") for stored in pairs[::2]]
        rows = self._client.read([self._keys.session(each)[0] for each in ids], HEAD_BYTES)
        found, stale = [], []
        for id_, reserved, row in zip(ids, pairs[1::2], rows, strict=True):
            try:
                record = None if row is None else unpack_head(row, id_)
            except MalformedRecordError:
                continue
            if record is not None and record.owner == owner:
                found.append(record)
            else:
                stale += [encoded(id_), reserved]
        if stale:
            with suppress(StoreError):  # the next look does it
                keys = self._keys.owner(owner)
                self._client.script(scripts.FORGET, keys, 1000 * LAPSED, *stale)
        return found

    def unnamed(self, records: Sequence[Record]) -> list[Record]:
        """Return those whose owner's set does not name them, though it must."""
        pairs = [(self._set_of(each), encoded(each.id)) for each in records]
        scores = self._client.commands([(key, ("ZSCORE", key, id_)) for key, id_ in pairs])
        return [each for each, score in zip(records, scores, strict=True) if score is None]

    def forget(self, records: Sequence[Record]) -> None:
        """Remove the ids of sessions whose rows are deleted, if that can be done now."""
        owned = [(self._set_of(each), encoded(each.id)) for each in records if is_owned(each)]
        with suppress(StoreError):
            self._client.commands([(key, ("ZREM", key, id_)) for key, id_ in owned])

    def _set_of(self, record: Record) -> bytes:
        return self._keys.owner(record.owner or "")[0]

    def lock(self, owner: str, token: str) -> None:
        """Wait for the owner's lock, and hold it. Raises `StoreBusyError`."""
        keys = self._keys.owner(owner)
        self._patience.until_free(
            owner, lambda: self._client.script(scripts.LOCK_OWNER, keys, token, self._lease)
        )

    def release(self, owner: str, token: str) -> None:
        """End our lock."""
        self._client.script(scripts.RELEASE, self._keys.owner(owner), token)


def is_owned(record: Record) -> bool:
    """Return whether an owner's set has to name the session."""
    return record.owner is not None and record.owner != RESERVED_OWNER


def in_order(records: Sequence[Record], now: datetime) -> list[Record]:
    """Return those that have not expired, the last used first."""
    found = sorted((each for each in records if not each.expired(now)), key=lambda each: each.id)
    return sorted(found, key=lambda each: each.seen_at, reverse=True)
