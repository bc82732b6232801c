"""What the pages tell a visitor about the session: "Your session", and About's settings."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pyramid.request import Request

from .sessions.facts import SessionFacts, session_facts
from .words import duration, relative


class Detail(NamedTuple):
    """One line of "Your session": a time, or a text."""

    term: str
    text: str
    moment: str = ""
    """For `<time datetime>`, in UTC."""


def session_details(request: Request, now: datetime | None = None) -> list[Detail]:
    """Return what there is to say about the session of a visit; never its secret."""
    now = now or datetime.now(UTC)
    session: Any = request.session
    facts = session_facts(request.registry)
    created = datetime.fromtimestamp(session.created, UTC)
    details = [_time("Started", created, now)]
    if not session.new and (seen_at := getattr(session, "seen_at", None)):
        details.append(_time("Seen before", seen_at, now))
    if facts:
        details += _ends(facts, session, created, now)
        details.append(Detail("Kept", facts.where))
    if size := getattr(session, "size", None):
        details.append(Detail("Size", f"{size} bytes"))
    if public_id := getattr(session, "id", None):
        details.append(Detail("Name", public_id))
    return details


def _ends(facts: SessionFacts, session: Any, created: datetime, now: datetime) -> list[Detail]:
    ends = []
    if facts.cookie.timeout is not None:
        unused = now + timedelta(seconds=facts.cookie.timeout)
        ends.append(_time("Ends unused", getattr(session, "expires_at", None) or unused, now))
    if facts.lifetime is not None:
        ends.append(_time("Ends at the latest", created + timedelta(seconds=facts.lifetime), now))
    return ends


def _time(term: str, moment: datetime, now: datetime) -> Detail:
    moment = moment.astimezone(UTC)
    return Detail(term, relative(moment, now), moment.isoformat(timespec="seconds"))


def policy(request: Request) -> dict[str, Any]:
    """Return About's settings in force, in words; empty for another package's factory."""
    facts = session_facts(request.registry)
    if facts is None:
        return {}
    cookie = facts.cookie
    return {
        "where": facts.where,
        "cookie": cookie.cookie_name,
        "secure": cookie.secure is True,
        "httponly": cookie.httponly,
        "samesite": cookie.samesite,
        "max_age": cookie.max_age and duration(cookie.max_age),
        "timeout": cookie.timeout and duration(cookie.timeout),
        "lifetime": facts.lifetime and duration(facts.lifetime),
    }
