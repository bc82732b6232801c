"""When a session ends, and when its row or its token is due for a change. It only computes."""

import datetime as dt
from dataclasses import dataclass

from ..own import cookie_age
from ..settings import ServerSettings
from ..store import Record

# For so long after `regenerate()` a request with the replaced token counts as one that was under
# way: it gets no cookie, which could take the new one away from the browser.
ROTATION_WINDOW = dt.timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The rules of time that the settings make. All times are aware, in UTC."""

    timeout: dt.timedelta | None
    """From the last use to the idle end."""
    new_timeout: dt.timedelta | None
    """The same for a session whose cookie has never come back."""
    lifetime: dt.timedelta | None
    """From the creation to the absolute end."""
    reissue_time: dt.timedelta
    renewal_time: dt.timedelta | None
    renewal_grace: dt.timedelta

    max_lifetime: dt.timedelta | None
    """The most that a session's own lifetime can be."""

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> "Expiry":
        return cls(
            timeout=_seconds(settings.timeout),
            new_timeout=_seconds(settings.new_timeout or settings.timeout),
            lifetime=_seconds(settings.lifetime),
            max_lifetime=_seconds(settings.max_lifetime),
            reissue_time=dt.timedelta(seconds=settings.reissue_time),
            renewal_time=_seconds(settings.renewal_time),
            renewal_grace=dt.timedelta(seconds=settings.renewal_grace),
        )

    def ends_at(
        self, record: Record, now: dt.datetime, *, is_new: bool = False
    ) -> dt.datetime | None:
        """Return the nearer of idle and absolute end for a session in use at `now`.

        `is_new`: its cookie has never come back.
        """
        timeout = self._timeout_of(record, is_new)
        idle = None if timeout is None else now + timeout
        absolute = self.absolute_end(record)
        return min(idle, absolute) if idle and absolute else idle or absolute

    def absolute_end(self, record: Record) -> dt.datetime | None:
        """Return when the session ends however busy it is."""
        lifetime = self.lifetime
        if record.lifetime is not None:  # its own
            lifetime, most = _seconds(record.lifetime or None), self.max_lifetime
            if most is not None and (lifetime is None or lifetime > most):
                lifetime = most  # it was lowered meanwhile
        return None if lifetime is None else record.created_at + lifetime

    def _timeout_of(self, record: Record, is_new: bool) -> dt.timedelta | None:
        if record.timeout is not None:  # its own
            return _seconds(record.timeout or None)
        # No bot logs in.
        return self.new_timeout if is_new and record.owner is None else self.timeout

    def is_over(self, record: Record, now: dt.datetime) -> bool:
        """Return whether the absolute end has passed: the lifetime was lowered meanwhile."""
        end = self.absolute_end(record)
        return end is not None and end <= now

    def next_end(
        self, record: Record, now: dt.datetime, *, confirmed: bool, touched: bool = False
    ) -> dt.datetime | None:
        """Return the end that a save at `now` is to store: another one only if it is due.

        It is due once the stored end is off by `reissue_time`, which leaves the index alone in
        between; `touched`: at once. `confirmed`: the session's cookie has come back.
        """
        is_new = not confirmed and record.rotated_at is None
        ends_at, stored = self.ends_at(record, now, is_new=is_new), record.expires_at
        if touched or ends_at is None or stored is None:
            return ends_at
        reissue_time = self.reissue_time
        if record.timeout:
            reissue_time = min(reissue_time, dt.timedelta(seconds=record.timeout) / 10)
        return stored if abs(ends_at - stored) < reissue_time else ends_at

    def cookie_age(self, record: Record, now: dt.datetime, max_age: int | None) -> int | None:
        """Return the Max-Age of the session's cookie, which is sent once per token.

        `max_age`: what a session has that sets nothing.
        """
        end = self.absolute_end(record)
        remains = None if end is None else (end - now).total_seconds()
        return cookie_age(record.persistent, record.lifetime, remains, max_age)

    def needs_cookie(self, before: Record, after: Record, max_age: int | None) -> bool:
        """Return whether the browser's cookie would end too early, or too late."""
        old_end, new_end = self.absolute_end(before), self.absolute_end(after)
        lengthened = old_end is not None and (new_end is None or new_end > old_end)
        was, is_ = (self.cookie_age(each, each.created_at, max_age) for each in (before, after))
        return lengthened or (was is None) != (is_ is None)

    def renewal_is_due(self, record: Record, now: dt.datetime) -> bool:
        """Return whether it is time for another token (OWASP's renewal time-out)."""
        if self.renewal_time is None:
            return False
        return now - (record.rotated_at or record.created_at) >= self.renewal_time

    def just_rotated(self, record: Record, now: dt.datetime) -> bool:
        """Return whether requests with the token before may still be under way.

        For `renewal_grace` after a rotation by time, for `ROTATION_WINDOW` after `regenerate()`.
        """
        length = self.renewal_grace if record.old_token_valid else ROTATION_WINDOW
        return record.rotated_at is not None and now < record.rotated_at + length


def _seconds(number: int | None) -> dt.timedelta | None:
    return None if number is None else dt.timedelta(seconds=number)
