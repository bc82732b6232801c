"""What looks at all rows, page by page: a page is read in one round trip per master."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from ..own import RESERVED_OWNER
from ..owner_store import SessionCounts
from ..store import MalformedRecordError, Record
from .client import Client
from .keys import Keys
from .owners import Owners
from .rows import HEAD_BYTES, digits, has_expired, unpack
from .sessions import Sessions


class Scanner:
    """Goes through the rows of all sessions; those that come or go meanwhile may be left out.

    While a cluster moves slots, a row may be seen twice. What is deleted is counted once all the
    same, by the script that deletes it.
    """

    def __init__(self, client: Client, keys: Keys, sessions: Sessions, owners: Owners) -> None:
        self._client = client
        self._keys = keys
        self._sessions = sessions
        self._owners = owners
        # Where the last batch of a pruning has stopped, so that the next goes on there.
        self._stopped: list[tuple[list[bytes], Iterator[list[bytes]]]] = []

    def live(self, now: datetime) -> Iterator[list[Record]]:
        """Yield the sessions that have not expired, page by page, without their payloads."""
        for page in self._pages():
            records = [self._record(key, row) for key, row in page]
            yield [
                each
                for each in records
                if each is not None and not each.expired(now) and each.owner != RESERVED_OWNER
            ]

    def latest(self, now: datetime, limit: int) -> list[Record]:
        """Return up to `limit` sessions, those that end last first."""
        ends = chain.from_iterable(self.live(now))
        found = {each.id: each for each in ends}
        return heapq.nlargest(
            min(limit, len(found)),
            found.values(),
            key=lambda each: (each.expires_at is None, digits(each.expires_at)),
        )

    def counts(self, now: datetime) -> SessionCounts:
        """Count all rows."""
        live = expired = owned = 0
        owners = set()
        for page in self._pages():
            for key, row in page:
                over = has_expired(row, digits(now))
                expired += over
                record = self._record(key, row)
                if record is None or record.owner == RESERVED_OWNER:
                    continue
                live += not over
                if record.owner is not None:
                    owned += 1
                    owners.add(record.owner)
        return SessionCounts(live=live, expired=expired, owned=owned, owners=len(owners))

    def prune(self, now: datetime, limit: int) -> list[Record | None]:
        """Delete up to `limit` expired rows; return them, None for one that makes no record."""
        pruned: list[Record | None] = []
        try:
            rest, scan = self._stopped.pop()
        except IndexError:
            rest, scan = [], self._client.scan(self._keys.pattern)
            again = False
        else:
            again = True  # what is before that place may have expired since
        while True:
            for keys in chain([rest], scan):
                left = self._prune(keys, now, limit, pruned)
                if left:
                    self._stopped.append((left, scan))
                    return pruned
            if not again:
                return pruned
            rest, scan, again = [], self._client.scan(self._keys.pattern), False

    def _prune(
        self, keys: list[bytes], now: datetime, limit: int, pruned: list[Record | None]
    ) -> list[bytes]:
        """Delete those of the rows that have expired; return what is left when `pruned` is full."""
        rows = self._client.read(keys, HEAD_BYTES)
        due = [
            key
            for key, row in zip(keys, rows, strict=True)
            if row is not None and has_expired(row, digits(now))
        ]
        for number, key in enumerate(due):
            if len(pruned) >= limit:
                return due[number:]
            row = self._sessions.prune(self._keys.id_of(key), now)
            if row is not None:
                record = self._record(key, row)
                pruned.append(record)
                if record is not None:
                    self._owners.forget(record.owner, [record.id])
        return []

    def _pages(self) -> Iterator[list[tuple[bytes, bytes]]]:
        for keys in self._client.scan(self._keys.pattern):
            rows = self._client.read(keys, HEAD_BYTES)
            yield [(key, row) for key, row in zip(keys, rows, strict=True) if row is not None]

    def _record(self, key: bytes, row: bytes) -> Record | None:
        try:
            return unpack(row, self._keys.id_of(key))
        except MalformedRecordError:
            return None
