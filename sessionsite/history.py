"""The history of page visits that a session keeps: `request.history`, and the tween behind it."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.decorator import reify
from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW

from .routes import PAGES
from .sessions import SAVE_TWEEN

KEY = "history"

Handler = Callable[[Request], Response]


def record_visit(
    history: Sequence[str], url: str, *, limit: int, max_bytes: int | None
) -> list[str]:
    """Return `history` with `url` in front, cut to `limit` visits and `max_bytes` of JSON text.

    The oldest visits go first. A URL that is too long even alone is kept without its query
    string, or not at all.
    """
    visits = [url, *history][:limit]
    if max_bytes is None:
        return visits
    if _json_size([url]) > max_bytes:
        url = url.partition("?")[0]
        visits = [url, *visits[1:]] if _json_size([url]) <= max_bytes else list(history)[:limit]
    while _json_size(visits) > max_bytes:
        visits.pop()
    return visits


def _json_size(visits: list[str]) -> int:
    return len(json.dumps(visits))  # ASCII: as many bytes


class SiteRequest(Request):  # type: ignore[misc]  # untyped base
    """A request that knows whether it is a visit, and the history that it belongs to.

    A class of its own, since Pyramid makes one anew for each request that a property is added to
    in the usual way.
    """

    @reify
    def has_sessions(self) -> bool:
        """Whether the site runs on a session factory at all."""
        return self.registry.queryUtility(ISessionFactory) is not None

    @reify
    def may_be_visit(self) -> bool:
        """Whether it is a visit if it is answered 200: a GET of a page, and no prefetch."""
        if not self._is_of_a_page() or self.method != "GET":
            return False
        purpose = re.split("[;,]", self.headers.get("Sec-Purpose", ""))[0]
        return purpose.strip().lower() != "prefetch"

    @reify
    def visit_url(self) -> str:
        """The full URL that the client used; bytes that no URL may hold are quoted."""
        # WebOb passes the query string on as it came, each byte a character of Latin-1.
        return re.sub(
            "[^\x21-\x7e]", lambda match: quote(match[0].encode("latin-1", "replace")), self.url
        )

    @reify
    def history(self) -> list[str]:
        """The visits of this session, newest first, the one that is being served included."""
        if not self._is_of_a_page() or not self.has_sessions:
            return []
        stored = _stored_history(self.session)
        if not self.may_be_visit:
            return stored
        site = self.registry.site
        return record_visit(
            stored, self.visit_url, limit=site.history_limit, max_bytes=site.history_bytes
        )

    @property
    def is_in_front(self) -> bool:
        """Whether its history begins with the page that is being served, if without its query."""
        if not self.may_be_visit or not self.history:
            return False
        return bool(self.history[0].partition("?")[0] == self.visit_url.partition("?")[0])

    def _is_of_a_page(self) -> bool:
        # there is no such attribute before the route is known, nor on a request that has none
        route = getattr(self, "matched_route", None)
        return route is not None and route.name in PAGES


def includeme(config: Configurator) -> None:
    config.include(".settings")
    config.set_request_factory(SiteRequest)
    # Under the tween that saves, so that it saves what this one writes; over the exception
    # views and the commit, so that an error page is no visit. The toolbar wants to see it, too.
    config.add_tween(
        "sessionsite.history.history_tween_factory",
        under=[SAVE_TWEEN, "pyramid_debugtoolbar.toolbar_tween_factory"],
        over=["pyramid_tm.tm_tween_factory", EXCVIEW],
    )


def _stored_history(session: Any) -> list[str]:
    stored = session.get(KEY)
    # What another version of the site, or somebody's hand, has left there may be anything.
    return [u for u in stored if isinstance(u, str)] if isinstance(stored, list) else []


def history_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Record a visit once it is one; nothing is written before the answer is known."""

    def history_tween(request: Request) -> Response:
        response = handler(request)
        if response.status_int == 200 and request.may_be_visit and request.has_sessions:
            request.session[KEY] = request.history
            if request.session.peek_flash():
                request.session.pop_flash()  # the page has shown them
        return response

    return history_tween
