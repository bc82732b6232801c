"""The site's request: whether it is a visit, the URL that it visits, and its session's history."""

import re
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.decorator import reify
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request

from .history import record_visit, stored_history
from .routes import PAGES


class SiteRequest(Request):  # type: ignore[misc]  # untyped base
    """A request that knows whether it is a visit, and the history that it belongs to.

    These are properties of a class, not of `config.add_request_method`: for those Pyramid makes
    a new class for every request.
    """

    @reify
    def has_sessions(self) -> bool:
        """Whether the app has a session factory at all."""
        return self.registry.queryUtility(ISessionFactory) is not None

    @reify
    def may_be_visit(self) -> bool:
        """Whether the request is a visit if it is answered 200: a GET of a page, no prefetch."""
        if not self._is_of_a_page() or self.method != "GET":
            return False
        purpose = re.split("[;,]", self.headers.get("Sec-Purpose", ""))[0]
        return purpose.strip().lower() != "prefetch"

    @reify
    def visit_url(self) -> str:
        """The full URL that the client used; bytes that no URL may hold are percent-encoded."""
        # WebOb passes the query string on as it came, each byte as a character of Latin-1.
        return re.sub(
            "[^\x21-\x7e]", lambda match: quote(match[0].encode("latin-1", "replace")), self.url
        )

    @reify
    def history(self) -> list[str]:
        """The visits of this session, newest first; a visit that is being served is the first."""
        if not self._is_of_a_page() or not self.has_sessions:
            return []
        stored = stored_history(self.session)
        if not self.may_be_visit:
            return stored
        site = self.registry.site
        return record_visit(
            stored, self.visit_url, limit=site.history_limit, max_bytes=site.history_bytes
        )

    @property
    def is_in_front(self) -> bool:
        """Whether the history begins with this visit, which may have lost its query string."""
        if not self.may_be_visit or not self.history:
            return False
        return bool(self.history[0].partition("?")[0] == self.visit_url.partition("?")[0])

    def _is_of_a_page(self) -> bool:
        # There is no such attribute before routing; it is None where no route matches.
        route = getattr(self, "matched_route", None)
        return route is not None and route.name in PAGES


def includeme(config: Configurator) -> None:
    config.include(".settings")
    config.set_request_factory(SiteRequest)
