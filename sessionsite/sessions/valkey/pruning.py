"""Deletes rows that have expired, and live ones that their owner's set does not name.

The second kind is what a failover leaves (`owners.py`). A row is deleted at the version that was
read, so it had its owner all the while from that to its end. In between, its owner's set did not
name it: that can only be a set, or a row, of a server that has lost something.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ..store import Record
from .owners import Owners, is_owned
from .rows import digits, has_expired, pack
from .scanning import Scanner, record_of
from .sessions import Sessions

log = logging.getLogger(__name__)

Pruned = tuple[str, bytes]
"""An id, and the row that was deleted."""


@dataclass(slots=True)
class _Walk:
    """One look at all rows, which may stop after each batch."""

    since: datetime
    pages: Iterator[list[tuple[str, bytes]]]
    expired: list[str] = field(default_factory=list)
    unnamed: list[Record] = field(default_factory=list)


class Pruning:
    """Prunes in batches: each goes on where the one before has stopped."""

    def __init__(self, scanner: Scanner, sessions: Sessions, owners: Owners) -> None:
        self._scanner = scanner
        self._sessions = sessions
        self._owners = owners
        self._stopped: list[_Walk] = []

    def prune(self, now: datetime, limit: int) -> list[Pruned]:
        """Delete up to `limit` rows, and return them, without the ends of long payloads.

        What a cluster moves meanwhile may be seen twice; the script that deletes it counts it once.
        """
        pruned: list[Pruned] = []
        for walk in self._walks(now):
            while True:
                while walk.expired or walk.unnamed:
                    room = limit - len(pruned)
                    if room <= 0:
                        self._stopped.append(walk)
                        return pruned
                    pruned += self._delete(walk, now, room)
                page = next(walk.pages, None)
                if page is None:
                    break
                self._look(page, walk, now)
        return pruned

    def _walks(self, now: datetime) -> Iterator[_Walk]:
        try:
            walk = self._stopped.pop()
        except IndexError:
            pass
        else:
            yield walk
            if walk.since >= now:  # else what it has passed by may have expired by now
                return
        yield _Walk(now, self._scanner.pages())

    def _look(self, page: list[tuple[str, bytes]], walk: _Walk, now: datetime) -> None:
        owned = []
        for id_, row in page:
            if has_expired(row, digits(now)):
                walk.expired.append(id_)
            elif record := _owned(id_, row):
                owned.append(record)
        walk.unnamed += self._owners.unnamed(owned)

    def _delete(self, walk: _Walk, now: datetime, limit: int) -> list[Pruned]:
        expired, walk.expired = walk.expired[:limit], walk.expired[limit:]
        if expired:
            pruned = self._sessions.prune(expired, now)
            self._owners.forget([record for each in pruned if (record := _owned(*each))])
            return pruned
        unnamed, walk.unnamed = walk.unnamed[:limit], walk.unnamed[limit:]
        ended = self._sessions.drop(unnamed)
        if ended:
            log.warning(
                "Sessions that their owners' lists don't name were ended, since a server has lost "
                "part of what it had: %s",
                " ".join(each.id for each in ended),
            )
        return [(each.id, pack(each)) for each in ended]


def _owned(id: str, row: bytes) -> Record | None:
    """Return the record of a row that an owner's set has to name; most are not taken apart."""
    record = record_of(id, row) if b'"owner":' in row else None
    return record if record is not None and is_owned(record) else None
