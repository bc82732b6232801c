"""The session store in SQL: PostgreSQL in production, SQLite for a try-out. No ORM.

SQLAlchemy describes the statements, compiles them once, and owns the pool; they then run on the
driver's own connection, which saves most of what a statement costs. A statement that is the whole
work runs in AUTOCOMMIT mode: one round trip, no BEGIN, no COMMIT.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import NoneType
from typing import Any, TypeVar

import sqlalchemy as sa

from ..owner_store import OwnerStore, SessionCounts, SessionSummary
from ..store import MalformedRecordError, Record, RecordExistsError, StoreError
from .connections import ConflictError, LostConnectionError, TakenError
from .database import Statement
from .pruning import FIRST, MAX_LIMIT
from .statements import CHANGEABLE, COLUMNS
from .status import StatusRunner
from .upgrade import remark

T = TypeVar("T")
_BYTES, _TEXT, _WHOLE = (bytes, NoneType), (str, NoneType), (int, NoneType)
_BATCH = 1000  # rows


class SQLAlchemyStore(StatusRunner, OwnerStore):
    """`OwnerStore` over one table; thread-safe. Times are stored to the microsecond.

    Its methods are those of `SessionStore` and `OwnerStore`, and raise what these say.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        """Take an engine that `make_engine` has made: the store's own, with its pool and driver."""
        super().__init__(engine, table)
        self.where = self._database.where
        self.durability = self._database.durability
        self.replication = self._database.replication

    def create(self, record: Record) -> None:
        try:
            count = self._insert(record)
        except TakenError as exc:  # what is taken may be a value in an index of the operator's
            if self._is_there(record.id):
                raise RecordExistsError("a session with this id exists") from exc
            raise
        # A trigger may have put it into another table, of which this one is the parent.
        if not count and not self._is_there(record.id):
            raise self._left_alone()

    def _insert(self, record: Record) -> int:
        row = {name: getattr(record, name) for name in COLUMNS} | {"version": 1}
        create = self._statements.create
        try:
            return self._again(self._execute, record.id, create, row)
        except LostConnectionError:
            self.close()  # the server was restarted: the pool's other connections are dead too
            try:
                return self._execute(record.id, create, row)
            except TakenError:
                # The first attempt had arrived, and only its answer was lost. But a standby may not
                # have it yet: what is answered has to have been committed in front of our eyes.
                self._execute(record.id, self._statements.delete, {"record_id": record.id})
                return self._execute(record.id, create, row)

    def load(self, id: str, now: datetime) -> Record | None:
        try:
            return self._load(id, now)
        except LostConnectionError:
            self.close()
            return self._load(id, now)  # reading twice does no harm, and nobody sees the restart

    def _load(self, id: str, now: datetime) -> Record | None:
        with self._connection(id, writes=False) as connection:
            rows, _ = self._statements.load.run(connection, {"record_id": id, "now": now})
            self._compare(rows, id)
        return _record(rows[0]) if rows else None

    def _compare(self, rows: Sequence[Sequence[Any]], id: str) -> None:
        """Throw the connection away if it gives another statement's answer."""
        if rows and rows[0][0] != id:
            raise self._driver.InternalError("the connection gives another statement's answer")

    def save(self, record: Record, expected_version: int, now: datetime) -> bool:
        values = {
            "record_id": record.id,
            "expected_version": expected_version,
            "now": now,
            "payload": record.payload,
            "seen_at": record.seen_at,
            "expires_at": record.expires_at,
            "token_confirmed": record.token_confirmed,
        }
        # Never tried twice: had the first attempt arrived, a merge would double its insertions.
        try:
            return self._execute(record.id, self._statements.save, values) == 1
        except ConflictError:
            return False

    def update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        raised: list[Exception] = []

        def guarded(newest: Record) -> Record | None:
            process = os.getpid()
            try:
                changed = change(newest)
            except self._driver.Error as exc:  # the app's, of a database of its own
                raised.append(exc)
                changed = newest
            _refuse_in_a_child_of(process)
            return changed

        stored = self._again(self._update, id, now, guarded)
        if raised:
            raise raised[0]
        return stored

    def _update(
        self, id: str, now: datetime, change: Callable[[Record], Record | None]
    ) -> Record | None:
        statements = self._statements
        with (
            self._connection(id) as connection,
            self._transaction(connection, for_change=True),
        ):
            rows, _ = statements.lock.run(connection, {"record_id": id, "now": now})
            if not rows:
                return None
            self._compare(rows, id)
            newest = _record(rows[0])
            changed = change(newest)
            if changed is None:
                _, count = statements.delete.run(connection, {"record_id": id})
                if not count:
                    raise self._left_alone()
                return None
            if changed is newest:
                return newest
            stored = replace(
                changed, id=id, created_at=newest.created_at, version=newest.version + 1
            )
            values = {name: getattr(stored, name) for name in CHANGEABLE}
            _, count = statements.update.run(connection, values | {"record_id": id})
            if not count:
                raise self._left_alone()
            return stored

    def delete(self, id: str) -> bool:
        values = {"record_id": id}
        try:
            count = self._again(self._execute, id, self._statements.delete, values)
        except LostConnectionError:
            self.close()
            count = self._execute(id, self._statements.delete, values)
        if not count and self._is_there(id):
            raise self._left_alone()
        return count == 1

    def _is_there(self, id: str) -> bool:
        """Return whether there is a row, expired or not."""
        values = {"record_id": id, "now": FIRST}
        with self._connection(id, writes=False) as connection:
            _, count = self._statements.load.run(connection, values, skip_malformed=True)
        return count > 0

    def _left_alone(self) -> StoreError:
        """Return the error for a row that the database has not written, and reports no error."""
        # What was prepared while a rule said DO INSTEAD NOTHING does nothing after its end either.
        self.close()
        return StoreError(
            "the database has left the row as it was, and reports no error: look for a trigger, a "
            "rule or a policy of the table's"
        )

    def remark(self) -> str | None:
        return remark(self.engine, self.table)

    def sessions_of(self, owner: str, now: datetime) -> Sequence[SessionSummary]:
        values = {"owner": owner, "now": now}
        return self._summaries(owner, self._statements.sessions_of, values)

    def end_owner(
        self, owner: str, now: datetime, except_id: str | None = None
    ) -> Sequence[SessionSummary]:
        values = {"owner": owner, "now": now, "except_id": except_id or ""}  # no id is empty
        return self._summaries(owner, self._statements.end_owner, values, writes=True)

    def with_owner_locked(self, owner: str, work: Callable[[], T]) -> T:
        answer: T = self._again(self._locked, owner, work)
        return answer

    def _locked(self, owner: str, work: Callable[[], T]) -> T:
        lock = self._statements.owner_lock
        with self._connection(owner) as connection, self._transaction(connection):
            if lock is not None:
                lock.run(connection, {"owner_number": self._number_of(owner)})
            with self._holding(connection):
                return work()

    def _number_of(self, owner: str) -> int:
        """Return what this table's processes agree on for `owner`: 64 bits, as locks have them."""
        name = f"{self.table.fullname}\0{owner}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)

    def latest(self, now: datetime, limit: int) -> Sequence[SessionSummary]:
        values = {"now": now, "batch": min(limit, MAX_LIMIT)}
        return self._summaries(None, self._statements.latest, values)

    def end_older(
        self, now: datetime, created_before: datetime, seen_before: datetime
    ) -> Iterator[Sequence[SessionSummary]]:
        times = {"now": now, "created_before": created_before, "seen_before": seen_before}
        after = ""  # no id is empty
        while True:
            # The database's own order, which Python's need not be.
            skipping = {"after": after, "skip": _BATCH - 1}
            bounds = self._fetch(None, self._statements.batch_end, skipping)
            if not bounds:
                break
            bound = {"after": after, "to": bounds[0][0]}
            yield self._summaries(None, self._statements.end_batch, times | bound, writes=True)
            after = bounds[0][0]
        rest = times | {"after": after}
        yield self._summaries(None, self._statements.end_rest, rest, writes=True)

    def counts(self, now: datetime) -> SessionCounts:
        rows = self._fetch(None, self._statements.counts, {"now": now})
        total, expired, markers, owned, owners = rows[0]
        live = total - expired - markers
        return SessionCounts(live=live, expired=expired, owned=owned, owners=owners)

    def _summaries(
        self,
        key: str | None,
        statement: Statement,
        values: Mapping[str, Any],
        *,
        writes: bool = False,
    ) -> list[SessionSummary]:
        rows = self._fetch(key, statement, values, writes=writes)
        return [SessionSummary(*row) for row in rows]


def _record(row: Sequence[Any]) -> Record:
    record = Record(*row)
    # SQLite keeps anything in any column
    if (
        isinstance(record.payload, str)
        and isinstance(record.version, int)
        and isinstance(record.token_hash, bytes)
        and isinstance(record.old_token_hash, _BYTES)
        and isinstance(record.owner, _TEXT)
        and isinstance(record.label, _TEXT)
        and isinstance(record.timeout, _WHOLE)
        and isinstance(record.lifetime, _WHOLE)
    ):
        return record
    raise MalformedRecordError(f"the row of session {row[0]}: a value of another type")


def _refuse_in_a_child_of(process: int) -> None:
    """Raise `StoreError` if `change` has forked, and this is the child."""
    if process != os.getpid():
        raise StoreError("the transaction is that of the process that forked this one")
