"""When a session ends, and when its row or its token is due for a change. It only computes."""

import datetime as dt
from dataclasses import dataclass

from ..settings import ServerSettings
from ..store import Record

# For so long the token that `regenerate()` has replaced is recognised, so that a late response
# leaves the browser's new cookie alone; afterwards it is unknown like any other.
ROTATION_WINDOW = dt.timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The rules of time that the settings make. All times are aware, in UTC."""

    timeout: dt.timedelta | None
    """From the last use to the idle end."""
    lifetime: dt.timedelta | None
    """From the creation to the absolute end."""
    reissue_time: dt.timedelta
    renewal_time: dt.timedelta | None
    renewal_grace: dt.timedelta

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> "Expiry":
        return cls(
            timeout=_seconds(settings.timeout),
            lifetime=_seconds(settings.lifetime),
            reissue_time=dt.timedelta(seconds=settings.reissue_time),
            renewal_time=_seconds(settings.renewal_time),
            renewal_grace=dt.timedelta(seconds=settings.renewal_grace),
        )

    def ends_at(self, created_at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
        """Return the nearer of idle and absolute end for a session in use at `now`."""
        idle = None if self.timeout is None else now + self.timeout
        absolute = None if self.lifetime is None else created_at + self.lifetime
        return min(idle, absolute) if idle and absolute else idle or absolute

    def is_due(self, record: Record, now: dt.datetime) -> bool:
        """Return whether the stored end is off by `reissue_time` or more."""
        ends_at = self.ends_at(record.created_at, now)
        if ends_at is None or record.expires_at is None:
            return ends_at is not record.expires_at
        off = abs(ends_at - record.expires_at)
        return bool(off) and off >= self.reissue_time

    def renewal_is_due(self, record: Record, now: dt.datetime) -> bool:
        """Return whether it is time for another token (OWASP's renewal time-out)."""
        if self.renewal_time is None:
            return False
        return now - (record.rotated_at or record.created_at) >= self.renewal_time

    def within_grace(self, record: Record, now: dt.datetime) -> bool:
        """Return whether the old token still opens the session, since time alone replaced it."""
        return record.old_token_valid and _within(record.rotated_at, self.renewal_grace, now)

    def just_regenerated(self, record: Record, now: dt.datetime) -> bool:
        """Return whether `regenerate()` has replaced the old token within `ROTATION_WINDOW`."""
        return not record.old_token_valid and _within(record.rotated_at, ROTATION_WINDOW, now)


def _seconds(number: int | None) -> dt.timedelta | None:
    return None if number is None else dt.timedelta(seconds=number)


def _within(start: dt.datetime | None, length: dt.timedelta, now: dt.datetime) -> bool:
    return start is not None and now < start + length
