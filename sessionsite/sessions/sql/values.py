"""The values of a row, and errors, as both databases have them."""

import datetime as dt
from typing import Any

import sqlalchemy as sa


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
        return value and (
            value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        )


def driver_error(exc: BaseException) -> BaseException:
    """Return the driver's error that SQLAlchemy's `exc` is about; `exc` itself if there is none."""
    return getattr(exc, "orig", None) or exc


def one_line(exc: BaseException) -> str:
    """Return a driver's error in one line, without the statement and its parameters."""
    return " ".join(str(exc).split()) or type(exc).__name__
