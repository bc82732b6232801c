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
from .rows import HEAD_BYTES, digits, has_expired, unpack_head


class Scanner:
    """Goes through the rows of all sessions; those that come or go meanwhile may be left out.

    While a cluster moves slots, a row may be seen twice.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def live(self, now: datetime) -> Iterator[list[Record]]:
        """Yield the sessions that have not expired, page by page, without their payloads."""
        for page in self.pages():
            records = [record_of(*each) for each in page]
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
        for page in self.pages():
            for id_, row in page:
                over = has_expired(row, digits(now))
                expired += over
                record = record_of(id_, row)
                if record is None or record.owner == RESERVED_OWNER:
                    continue
                live += not over
                if record.owner is not None:
                    owned += 1
                    owners.add(record.owner)
        return SessionCounts(live=live, expired=expired, owned=owned, owners=len(owners))

    def pages(self) -> Iterator[list[tuple[str, bytes]]]:
        """Yield ids and rows, page by page, without the ends of long payloads."""
        for keys in self._client.scan(self._keys.pattern):
            rows = self._client.read(keys, HEAD_BYTES)
            yield [
                (self._keys.id_of(key), row)
                for key, row in zip(keys, rows, strict=True)
                if row is not None
            ]


def record_of(id: str, row: bytes) -> Record | None:
    """Return the record of a row, None if it makes none."""
    try:
        return unpack_head(row, id)
    except MalformedRecordError:
        return None
