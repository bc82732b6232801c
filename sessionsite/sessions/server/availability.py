"""Whether this process reaches the store: events at each change, and few lines in the log.

An outage is one line when it begins, one per minute while requests fail, and one at its end; never
one per request. If the store fails again within a minute of the end, the same outage goes on, and
is over when the store has answered for a minute.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from .. import forks
from ..events import Teller
from ..store import StoreError

log = logging.getLogger(__name__)

PAUSE = timedelta(minutes=1)
"""How long no further line tells of the same thing."""
Line = tuple[int, str, tuple[object, ...]]


@dataclass(slots=True)  # a frozen one takes twice as long to make, at each request
class Asked:
    """A call of the store that is under way."""

    writes: bool
    answers: int
    """A number that changes with each call of the same kind that is answered."""


@dataclass(slots=True)
class _Outage:
    began: datetime
    lost_at: datetime
    """When the store was lost last: `began`, unless it was back in between."""
    logged_at: datetime
    of_writes: bool
    """What was lost are the writes: that reads are answered says nothing of it."""
    failed: int = 1
    """Requests."""
    failed_before: int = 0
    """Those that failed before `lost_at`."""
    back_at: datetime | None = None
    """When the store answered again; None while it does not."""
    again: bool = False
    """The store was back in between."""
    end_is_logged: bool = False

    def lose_again(self, now: datetime, of_writes: bool) -> None:
        self.of_writes = of_writes
        self.lost_at, self.back_at = now, None
        self.failed_before = self.failed
        self.again = True
        self.end_is_logged = False

    def line(self, level: int, text: str, until: datetime, *more: object) -> Line:
        self.logged_at = until
        return level, text, (int((until - self.began).total_seconds()), self.failed, *more)

    def end(self) -> Line:
        self.end_is_logged = True
        text = "Session store: back after %d seconds, in which %d requests have failed"
        assert self.back_at is not None
        return self.line(logging.WARNING, text, self.back_at)


class Availability(forks.Forked):
    """One factory's view of its store, in one process; thread-safe."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._answers = self._writes = 0  # calls that were answered; threads may lose some
        self._now = now
        self._outage: _Outage | None = None  # kept for a minute after its end
        self._alone = 0  # requests that failed alone, and are in no line yet
        self._alone_logged_at: datetime | None = None
        self.failed = 0
        """A number that changes with each call that fails in an outage."""
        self.last_error = ""
        self._lock = Lock()
        forks.watch(self)

    def after_fork_in_child(self) -> None:
        self._lock = Lock()  # the counts may be of any moment, and are whole

    @property
    def away(self) -> bool:
        """Whether the store did not answer when it was asked last."""
        outage = self._outage
        return outage is not None and outage.back_at is None

    def ask(self, *, writes: bool) -> Asked:
        """Note that a call of the store begins."""
        return Asked(writes, self._writes if writes else self._answers)

    def lost(self, error: StoreError, asked: Asked, tell: Teller) -> None:
        """Note that a call has failed.

        If the store has answered other such calls meanwhile, this one has failed alone: it waited
        for a row that is locked, for example. That is no outage, and told once per minute as well.
        """
        if error.noted:  # by a call of the store inside another one
            return
        error.noted = True
        now = self._now()
        with self._lock:
            answered_others = asked != self.ask(writes=asked.writes)
            alone = not self.away and (not error.is_outage or answered_others)
            is_new = not alone and not self.away
            if alone:
                lines = self._fail_alone(error, now)
            else:
                self.failed += 1
                self.last_error = str(error)
                lines = self._fail(error, now, asked.writes)
        _write(lines)
        if is_new:
            tell.unavailable(str(error))

    def answered(self, asked: Asked, tell: Teller) -> None:
        """Note that the store has answered a call."""
        self._answers += 1
        self._writes += asked.writes
        if self._outage is None or (self._outage.of_writes and not asked.writes):
            return
        now = self._now()
        back: _Outage | None = None
        with self._lock:
            lines = self._forget(now)
            outage = self._outage
            if outage is not None and outage.back_at is None:
                back = outage
                outage.back_at = now
                if not outage.again:
                    lines.append(outage.end())
        _write(lines)
        if back is not None:
            seconds = (now - back.lost_at).total_seconds()
            tell.back(seconds, back.failed - back.failed_before)

    def _fail(self, error: StoreError, now: datetime, of_writes: bool) -> list[Line]:
        lines = self._forget(now)
        outage = self._outage
        if outage is None:
            self._outage = _Outage(began=now, lost_at=now, logged_at=now, of_writes=of_writes)
            return [*lines, (logging.ERROR, "Session store: away: %s", (error,))]
        if outage.back_at is not None:
            outage.lose_again(now, of_writes)
        outage.failed += 1
        if now - outage.logged_at >= PAUSE:
            text = "Session store: still away after %d seconds, %d requests have failed: %s"
            if outage.again:
                text = "Session store: on and off for %d seconds, %d requests have failed: %s"
            lines.append(outage.line(logging.ERROR, text, now, error))
        return lines

    def _forget(self, now: datetime) -> list[Line]:
        """Forget an outage after which the store has answered for a minute."""
        outage = self._outage
        if outage is None or outage.back_at is None or now - outage.back_at < PAUSE:
            return []
        self._outage = None
        return [] if outage.end_is_logged else [outage.end()]

    def _fail_alone(self, error: StoreError, now: datetime) -> list[Line]:
        self._alone += 1
        if self._alone_logged_at is not None and now - self._alone_logged_at < PAUSE:
            return []
        count, self._alone, self._alone_logged_at = self._alone, 0, now
        text = (
            "Session store: a request failed while others were answered "
            "(%d since the last such line): %s"
        )
        return [(logging.ERROR, text, (count, error))]


def _write(lines: list[Line]) -> None:
    for level, text, values in lines:
        log.log(level, text, *values)
