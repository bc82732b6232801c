"""What happens to sessions and to the store, as Pyramid events.

    @subscriber(SessionEnded)
    def count(event): ...

An event is told after the fact has been stored, at most once, by the process that did it; if that
process dies in between, nobody is told. What a subscriber raises is logged, and breaks nothing.
The log lines are made from the events. Each session's end is also a line of a logger of its own,
`audit` beside this module's, with the owner and with who ended it.
"""

import logging
import weakref
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from pyramid.registry import Registry
from pyramid.request import Request
from zope.interface import implementedBy

from .log_context import request_id

log = logging.getLogger(__name__)
audit = logging.getLogger(f"{__package__}.audit")


class EndReason(StrEnum):
    """Why a session has ended."""

    LOGOUT = "logout"
    """`invalidate()` was called."""
    IDLE = "idle"
    """It was not used for too long; told when its row is pruned."""
    ABSOLUTE = "absolute"
    """Its lifetime was over; told when its row is pruned."""
    REVOKED = "revoked"
    """It was ended from outside."""
    REUSE = "reused token"
    """A token that was replaced came back: `session.on_reuse`."""
    LIMIT = "limit"
    """Its owner began another one: `session.max_per_owner`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """What has happened to a session: `config.add_subscriber(function, SessionEnded)`.

    What a subscriber raises is logged, and nothing else comes of it.
    """

    level: ClassVar[int] = logging.INFO
    text: ClassVar[str]
    """The log line, with the session's id as its one argument."""

    request: Request | None = None
    """The request that did it; None for the pruner, a command, a script."""
    id: str
    """The session's, random and public."""
    owner: str | None = None
    """Whose session it is, in the app's own words; None for nobody's."""


class SessionCreated(SessionEvent):
    """A session has a row now."""

    text = "Session %s: created"


class SessionRotated(SessionEvent):
    """A session has a new token."""

    text = "Session %s: new token"


class SessionMerged(SessionEvent):
    """What two requests at once put into a session was merged."""

    level = logging.DEBUG
    text = "Session %s: merged with what another request has stored meanwhile"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(SessionEvent):
    """A session has no row any more."""

    text = "Session %s: ended"

    reason: EndReason
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnavailable:
    """This process can't reach the store, and could before."""

    request: Request | None = None
    """The first request that has failed."""
    reason: str
    """The error's text; it names no password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBack:
    """This process can reach the store again."""

    request: Request | None = None
    """The first request that was answered again."""
    seconds: float
    """How long it could not."""
    failed: int
    """How many requests have failed meanwhile."""


_LEVELS = {
    EndReason.REUSE: logging.WARNING,
    EndReason.IDLE: logging.DEBUG,  # the pruner says how many there were
    EndReason.ABSOLUTE: logging.DEBUG,
}


class Teller:
    """Tells the events of one request, to which it keeps a weak reference: no cycle."""

    __slots__ = ("_by", "_registry", "_request")

    def __init__(
        self,
        request: Request | None = None,
        registry: Registry | None = None,
        by: str = "a script",
    ) -> None:
        """`by`: who does it, where there is no request."""
        self._by = by
        self._request = None if request is None else weakref.ref(request)
        self._registry = registry or getattr(request, "registry", None)

    @property
    def is_heard(self) -> bool:
        """Whether anything hears of each session that expires: a subscriber, or a log for details.

        A subscriber that is registered with `expired_too = False` among its attributes, by
        `registry.registerHandler`, does without these.
        """
        if log.isEnabledFor(logging.DEBUG) or audit.isEnabledFor(logging.DEBUG):
            return True
        if self._registry is None:
            return False
        handlers = self._registry.adapters.subscriptions((implementedBy(SessionEnded),), None)
        return any(getattr(handler, "expired_too", True) for handler in handlers)

    def session(self, kind: type[SessionEvent], id: str, owner: str | None, **more: Any) -> None:
        """Log and tell what has happened to a session."""
        level = _LEVELS.get(more.get("reason", ""), kind.level)
        reason = f" ({more['reason']})" if more else ""
        log.log(level, kind.text + "%s", id, reason)
        if kind is SessionEnded:
            self._audit(min(level, logging.INFO), id, owner, str(more["reason"]))
        self._tell(kind, id=id, owner=owner, **more)

    def _audit(self, level: int, id: str, owner: str | None, reason: str) -> None:
        if not audit.isEnabledFor(level):
            return
        request = None if self._request is None else self._request()
        by = self._by if request is None else f"request {request_id(request.environ)}"
        audit.log(
            level,
            "Session %s of %s ended: %s, by %s",
            id,
            "nobody" if owner is None else repr(owner),  # an app's text, with line breaks perhaps
            reason,
            by,
            # not session_id: that is the session of the request which did it
            extra={"ended_id": id, "owner": owner, "reason": reason, "by": by},
        )

    def unavailable(self, reason: str) -> None:
        self._tell(StoreUnavailable, reason=reason)

    def back(self, seconds: float, failed: int) -> None:
        self._tell(StoreBack, seconds=seconds, failed=failed)

    def _tell(self, kind: type[Any], **values: Any) -> None:
        if self._registry is None or not self._registry.has_listeners:
            return
        request = None if self._request is None else self._request()
        try:
            self._registry.notify(kind(request=request, **values))
        except Exception:
            log.exception("A subscriber to %s has failed", kind.__name__)
