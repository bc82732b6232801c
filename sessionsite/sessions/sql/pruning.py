"""How expired rows go: in batches, by one process at a time, with no transaction in between."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import get_ident
from typing import Any

import sqlalchemy as sa

from ..owner_store import SessionSummary
from .database import Statement
from .runner import StatementRunner

MAX_LIMIT = 2**31 - 1  # what PostgreSQL's integer holds
FIRST = datetime.min.replace(tzinfo=UTC)


class PruningRunner(StatementRunner):
    """What the SQL store does with expired rows."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        super().__init__(engine, table)
        self._pruned_to = FIRST

    def prune(self, now: datetime, limit: int) -> int:
        count_deleted = self._statements.prune_count
        if count_deleted is None:
            return len(self.prune_batch(now, limit))

        def step(since: datetime, batch: int) -> tuple[int, datetime | None]:
            count, last = self._prune(count_deleted, since, now, batch)[0]
            return count, last

        return self._in_steps(limit, step)

    def prune_batch(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        deleted: list[SessionSummary] = []

        def step(since: datetime, batch: int) -> tuple[int, datetime | None]:
            rows = self._prune(self._statements.prune, since, now, batch)
            found = [SessionSummary(*row) for row in rows]
            deleted.extend(found)
            return len(found), max((each.expires_at or since for each in found), default=None)

        self._in_steps(limit, step)
        return deleted

    def _in_steps(
        self, limit: int, step: Callable[[datetime, int], tuple[int, datetime | None]]
    ) -> int:
        """Delete up to `limit` rows by `step`, which returns how many, and the latest end of them.

        It begins where the batch before has ended. What lies before that, since it was locked then
        or has another end since, is for the batch that finds too few.
        """
        since = self._pruned_to
        count, last = step(since, limit)
        if count >= limit:
            self._pruned_to = last or since
        elif since > FIRST:
            self._pruned_to = FIRST
            count += step(FIRST, limit - count)[0]
        return count

    def _prune(
        self, statement: Statement, since: datetime, now: datetime, limit: int
    ) -> Sequence[Sequence[Any]]:
        statements = self._statements
        values = {"since": since, "now": now, "batch": min(limit, MAX_LIMIT)}
        rows = self._fetch(None, statement, values, writes=True)
        held = self._held.get(get_ident())
        if held is not None and not self._database.keeps_locks(held):
            assert statements.sweep_once is not None
            for each in (statements.commit, statements.begin, statements.sweep_once):
                each.run(held, {})  # each batch is a transaction, its lock included
        return rows

    def count_expired(self, now: datetime) -> int:
        count: int = self._fetch(None, self._statements.count_expired, {"now": now})[0][0]
        return count

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        statements = self._statements
        take, release, take_once = statements.sweep, statements.sweep_end, statements.sweep_once
        if take is None or release is None or take_once is None:
            yield True
            return
        with self._connection(None) as connection:
            if not self._database.keeps_locks(connection):
                with self._transaction(connection):
                    rows, _ = take_once.run(connection, {})
                    with self._holding(connection):
                        yield rows[0][0]
                return
            # No transaction is open between two batches: it would keep what is deleted from being
            # cleaned up, and from batch to batch there would be more of that to read.
            rows, _ = take.run(connection, {})
            ours = rows[0][0]
            try:
                with self._holding(connection):  # a second connection might be one too many
                    yield ours
            finally:
                if ours and not connection.in_transaction:  # else it is thrown away, lock included
                    release.run(connection, {})
