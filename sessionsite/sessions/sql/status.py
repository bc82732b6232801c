"""A few rows beside the sessions, in the table `NAME_status`: what all processes are to know."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ..store import StoreError, Sweep
from .connections import TakenError
from .pruning import PruningRunner
from .statements import in_utc
from .table import status_table

_PING, _SWEEP = "ping", "sweep"


class StatusRunner(PruningRunner):
    """What the SQL store does with that table."""

    def __init__(self, engine: sa.Engine, table: sa.Table) -> None:
        super().__init__(engine, table)
        status = in_utc(status_table(table.name, table.schema))
        c = status.c
        columns = {column.name: sa.bindparam(column.name, type_=column.type) for column in c}
        mine = c.name == sa.bindparam("row", type_=sa.Text)
        described: dict[str, Any] = {
            "status_set": sa.update(status).where(mine).values(columns),
            "status_add": sa.insert(status).values(columns),
            "status_get": sa.select(c.at, c.rows, c.seconds).where(mine),
        }
        self._set, self._add, self._get = (
            self._database.statement(name, each, engine.dialect) for name, each in described.items()
        )

    def try_write(self, now: datetime) -> None:
        """Write a row of our own, and commit it. Raises `StoreError`.

        A write that is rolled back, or that changes nothing, does not see a standby that is gone,
        nor a disk that is full.
        """
        statements = self._statements
        try:
            self._note(_PING, now)
        except StoreError as exc:
            if not self._has_none(exc):
                raise
            self._execute(_PING, statements.delete, {"record_id": ""})

    def note_sweep(self, sweep: Sweep) -> None:
        try:
            self._note(_SWEEP, sweep.ended_at, sweep.rows, sweep.seconds)
        except StoreError as exc:
            if not self._has_none(exc):
                raise

    def last_sweep(self) -> Sweep | None:
        try:
            rows = self._fetch(_SWEEP, self._get, {"row": _SWEEP})
        except StoreError as exc:
            if self._has_none(exc):
                return None
            raise
        return Sweep(*rows[0]) if rows else None

    def _note(
        self, row: str, at: datetime, rows: int | None = None, seconds: float | None = None
    ) -> None:
        values = {"name": row, "at": at, "rows": rows, "seconds": seconds}
        if not self._execute(row, self._set, values | {"row": row}):
            with suppress(TakenError):  # another process was first
                self._execute(row, self._add, values)

    def _has_none(self, exc: StoreError) -> bool:
        """Return whether there is no such table, or not for this role: `upgrade-db` mends that."""
        error = exc.__cause__
        database = self._database
        return isinstance(error, Exception) and (
            database.is_missing_table(error) or database.is_forbidden(error)
        )
