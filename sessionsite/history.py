"""The history of page visits that a session keeps: adding a visit, and the tween that stores it.

What is a visit, and what a page shows of the history, is asked of the request (`request.py`).
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW

from .sessions import SAVE_TWEEN, SessionDescription, describe

log = logging.getLogger(__name__)

HISTORY_KEY = "history"
BESIDE = 512  # bytes of a session that are left for the CSRF token and a message

Handler = Callable[[Request], Response]


def stored_history(session: Mapping[str, Any]) -> list[str]:
    """Return the visits that `session` keeps, newest first; an empty list where it keeps none."""
    stored = session.get(HISTORY_KEY)
    # Another version of the site, or an operator, may have left a value of any type there, or a
    # text that no page can hold: a lone surrogate, a control character.
    visits = stored if isinstance(stored, list) else []
    return [url for url in visits if isinstance(url, str) and url.replace("\n", "").isprintable()]


def record_visit(
    history: Sequence[str], url: str, *, limit: int, max_bytes: int | None
) -> list[str]:
    """Return `history` with `url` in front, cut to `limit` visits and `max_bytes` of JSON text.

    The oldest visits go first. A URL that exceeds `max_bytes` even alone is kept without its
    query string, or not at all. `max_bytes` of None is no limit.
    """
    visits = [url, *history][:limit]
    if max_bytes is None or _is_small(visits, max_bytes) or _json_size(visits) <= max_bytes:
        return visits
    if _json_size([url]) > max_bytes:
        url = url.partition("?")[0]
        visits = [url, *visits[1:]] if _json_size([url]) <= max_bytes else list(history)[:limit]
    while _json_size(visits) > max_bytes:
        visits.pop()
    return visits


def bounded(max_bytes: int | None, description: SessionDescription | None) -> int | None:
    """Return `max_bytes`, or what a session can hold beside the rest, if that is less.

    A history beyond it would be an error at every further visit.
    """
    if description is None:
        return max_bytes
    room = _room(description.max_bytes)
    return room if max_bytes is None else min(max_bytes, room)


def is_overfull(session: Mapping[str, Any], description: SessionDescription | None) -> bool:
    """Return whether `session` holds too much for any history beside the rest.

    An operator has edited the row, or has lowered `session.max_bytes`. To add a visit would be an
    error at every page.
    """
    most = description.max_bytes if description else None
    if most is None or getattr(session, "size", 0) <= most:
        return False
    rest = {key: value for key, value in session.items() if key != HISTORY_KEY}
    return _json_size(rest) > _room(most)


def _room(max_bytes: int) -> int:
    return max(max_bytes - BESIDE, max_bytes // 2)


def _is_small(visits: list[str], max_bytes: int) -> bool:
    """Return whether the JSON text of `visits` fits in any case; if not, it has to be made."""
    # JSON takes at most 12 bytes for a character, and quotes, a comma and a space for a text.
    return 12 * sum(map(len, visits)) + 4 * len(visits) + 2 <= max_bytes


def _json_size(value: Any) -> int:
    return len(json.dumps(value))  # json.dumps writes ASCII, so one character is one byte


def history_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Store `request.history` once the handler has answered, if the request was a visit."""

    def history_tween(request: Request) -> Response:
        response = handler(request)
        if response.status_int == 200 and request.may_be_visit and request.has_sessions:
            session = request.session
            if is_overfull(session, describe(registry)):
                log.warning("Session %s is too large, a new one takes its place", session.id)
                session.invalidate()
            session[HISTORY_KEY] = request.history
            if session.peek_flash():
                session.pop_flash()  # the page has shown them
        return response

    return history_tween


def includeme(config: Configurator) -> None:
    def bound(event: ApplicationCreated) -> None:
        registry = event.app.registry
        registry.history_bytes = bounded(registry.site.history_bytes, describe(registry))

    config.add_subscriber(bound, ApplicationCreated)
    # The tween stands under the one that makes a page of a store's failure, and under the
    # toolbar's, so that the toolbar shows its change. It stands over the app's commit and the
    # exception views: an error page is no visit.
    config.add_tween(
        "sessionsite.history.history_tween_factory",
        under=[SAVE_TWEEN, "pyramid_debugtoolbar.toolbar_tween_factory"],
        over=["pyramid_tm.tm_tween_factory", EXCVIEW],
    )
