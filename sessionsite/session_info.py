"""What a page tells a visitor about the session: the history, "Your session", About's settings."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from markupsafe import Markup, escape
from pyramid.request import Request

from .sessions import ISavedSession, IStoredSession, describe

LINKS = ("http://", "https://")
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


class Detail(NamedTuple):
    """One line of "Your session"."""

    term: str
    text: str
    moment: str = ""
    """The time that `text` tells, in UTC, for `<time datetime>`; empty where it tells none."""


def history_items(history: Sequence[str]) -> Markup:
    """Return the visits as items of a list.

    All are escaped at once: to escape each one twice, in a template's loop, takes four times as
    long. No visit holds a NUL, which no page can hold.
    """
    items = []
    # An edited row may hold a "javascript:" URL, which is shown as text.
    for url, text in zip(history, str(escape("\0".join(history))).split("\0"), strict=True):
        shown = f'<a href="{text}">{text}</a>' if url.startswith(LINKS) else text
        items.append(f"<li>{shown}</li>")
    return Markup("\n".join(items))  # noqa: S704  # it is escaped


def session_details(request: Request, now: datetime | None = None) -> list[Detail]:
    """Return what a page can say about the session of a visit; never its token.

    Another package's factory and session tell less than ours, and the lines that they can't
    answer are left out.
    """
    now = now or datetime.now(UTC)
    session: Any = request.session
    description = describe(request.registry)
    created = datetime.fromtimestamp(session.created, UTC)
    details = [_time("Started", created, now)]
    is_stored = IStoredSession.providedBy(session)
    if is_stored and not session.new:
        details.append(_time("Last seen", session.seen_at, now))
    if description:
        if description.cookie.timeout is not None:
            unused = now + timedelta(seconds=description.cookie.timeout)
            expires_at = session.expires_at if is_stored else unused
            details.append(_time("Ends if unused", expires_at, now))
        if description.lifetime is not None:
            latest = created + timedelta(seconds=description.lifetime)
            details.append(_time("Ends at the latest", latest, now))
        details.append(Detail("Kept", description.where))
    if ISavedSession.providedBy(session) and session.size:
        details.append(Detail("Size", f"{session.size} bytes"))
    if is_stored:  # another package's `id` may be what its cookie holds
        details.append(Detail("Name", session.id))
    return details


def _time(term: str, moment: datetime, now: datetime) -> Detail:
    return Detail(term, relative(moment, now), moment.astimezone(UTC).isoformat(timespec="seconds"))


def policy(request: Request) -> dict[str, Any]:
    """Return the settings in force, for About; empty with another package's factory.

    Times are texts ("20 minutes"); None stands for no limit.
    """
    description = describe(request.registry)
    if description is None:
        return {}
    cookie = description.cookie
    return {
        "where": description.where,
        "durability": description.durability,
        "replication": description.replication,
        "cookie": cookie.cookie_name,
        "secure": cookie.secure is True,
        "httponly": cookie.httponly,
        "samesite": cookie.samesite,
        "max_age": cookie.max_age and duration(cookie.max_age),
        "timeout": cookie.timeout and duration(cookie.timeout),
        "lifetime": description.lifetime and duration(description.lifetime),
    }


def duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that fits, rounded: "20 minutes"."""
    for unit, size in _UNITS:
        # a visitor reads "1 hour", not "60 minutes", for a second less than an hour
        if seconds >= size * 0.995:
            return _counted(round(seconds / size), unit)
    return _counted(round(seconds), "second")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"


def relative(moment: datetime, now: datetime) -> str:
    """Return when `moment` is, seen from `now`: "3 minutes ago", "in 12 hours", "just now"."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"
