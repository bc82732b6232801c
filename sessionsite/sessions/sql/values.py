"""The values of a row: times in UTC, and rows whose values make no record."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from ..store import MalformedRecordError


class UTCDateTime(sa.types.TypeDecorator[dt.datetime]):
    """An aware datetime in UTC, whatever the server's, the database's or the driver's zone.

    SQLite keeps it as text without a zone, which sorts as time does since all of it is in UTC.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> Any:
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(
        self, value: dt.datetime | None, dialect: sa.Dialect
    ) -> dt.datetime | None:
        if value is None:
            return None
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def decoded(row: Sequence[Any], decoders: Sequence[Callable[[Any], Any]]) -> list[Any]:
    """Return the values of `row`, each by its decoder. Raises `MalformedRecordError`."""
    try:
        return [
            None if value is None else decode(value)
            for value, decode in zip(row, decoders, strict=True)
        ]
    except (ValueError, TypeError, AttributeError, OverflowError) as exc:
        id_ = row[0].decode(errors="replace") if isinstance(row[0], bytes) else row[0]
        raise MalformedRecordError(f"the row of session {id_}: {one_line(exc)}") from exc


def one_line(exc: BaseException) -> str:
    """Return a driver's error in one line, without the statement and its parameters."""
    return " ".join(str(exc).split()) or type(exc).__name__
