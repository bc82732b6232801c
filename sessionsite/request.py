"""The site's request: whether it is a visit, the URL that it visits, and its session's history."""

import re
from urllib.parse import parse_qsl, quote

from pyramid.config import Configurator
from pyramid.decorator import reify
from pyramid.httpexceptions import HTTPBadRequest, HTTPRequestEntityTooLarge
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from webob.multidict import MultiDict, NoVars

from .history import record_visit, stored_history
from .routes import FORMS, PAGES

FORM_BYTES = 16384  # as in the .ini files and in deploy/nginx.conf; the site's form has 43
FORM_FIELDS = 20
_PROXIES = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO")
# What no public name looks like; probes may send no host at all.
_ADDRESS = re.compile(r"(localhost|[0-9.]+|\[[0-9a-f:.]+\])?(:[0-9]+)?", re.IGNORECASE)
FORM_TYPES = {"", "application/x-www-form-urlencoded"}


class SiteRequest(Request):  # type: ignore[misc]  # untyped base
    """A request that knows whether it is a visit, and the history that it belongs to.

    These are properties of a class, not of `config.add_request_method`: for those Pyramid makes
    a new class for every request.
    """

    # WebOb would write a larger form to a temporary file, for garbage collection to close.
    request_body_tempfile_limit = FORM_BYTES

    @reify
    def has_sessions(self) -> bool:
        """Whether the app has a session factory at all."""
        return self.registry.queryUtility(ISessionFactory) is not None

    @reify
    def may_be_visit(self) -> bool:
        """Whether the request is a visit if it is answered 200.

        That is a GET of a page, a navigation, no prefetch: an `<img>` or a script's `fetch` of
        another site's is none.
        """
        if not self._is_of_a_page() or self.method != "GET":
            return False
        if self.environ.get("HTTP_SEC_FETCH_DEST", "document") != "document":
            return False
        purpose = re.split("[;,]", self.environ.get("HTTP_SEC_PURPOSE", ""))[0]
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
        limit, max_bytes = self.registry.site.history_limit, self.registry.history_bytes
        return record_visit(stored, self.visit_url, limit=limit, max_bytes=max_bytes)

    @property
    def is_asked_directly(self) -> bool:
        """Whether the process itself is asked, by an operator or a probe, and not through a proxy.

        A proxy that is not trusted has its headers dropped, but passes on the site's name.
        """
        if any(name in self.environ for name in _PROXIES):
            return False
        return _ADDRESS.fullmatch(self.environ.get("HTTP_HOST", "")) is not None

    @property
    def is_in_front(self) -> bool:
        """Whether the history begins with this visit, which may have lost its query string."""
        if not self.may_be_visit or not self.history:
            return False
        return bool(self.history[0].partition("?")[0] == self.visit_url.partition("?")[0])

    @reify
    def POST(self) -> MultiDict | NoVars:  # noqa: N802  # WebOb's name
        """The form, read when it is first asked for, and bounded in bytes and in fields.

        WebOb's own has no bounds, and raises errors of any kind for a form that is malformed. A
        form of another route than those in `FORMS`, or of another content type, is empty here: its
        body stays unread. Raises HTTPBadRequest, HTTPRequestEntityTooLarge.
        """
        if self.method != "POST" or self._route_name() not in FORMS:
            return NoVars("Not a form of this site")
        if self.content_type not in FORM_TYPES:
            return NoVars("Not a form of the site's content type")
        try:
            return MultiDict(
                parse_qsl(
                    self._bounded_body().decode("utf-8"),
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=FORM_FIELDS,
                )
            )
        except (ValueError, OSError) as exc:  # UnicodeDecodeError among them; a lost connection
            raise HTTPBadRequest("The form can't be read.") from exc

    def _bounded_body(self) -> bytes:
        size = self.content_length
        if size is None and self.is_body_readable:  # sent in chunks, by a server that says so
            self.body = self.body_file_raw.read(FORM_BYTES + 1)  # one more tells a larger one
            size = self.content_length
        if size is not None and size < 0:
            raise HTTPBadRequest("The Content-Length is negative.")
        if size is not None and size > FORM_BYTES:
            raise HTTPRequestEntityTooLarge("The form is too large.")
        body: bytes = self.body
        return body

    def _is_of_a_page(self) -> bool:
        return self._route_name() in PAGES

    def _route_name(self) -> str:
        # There is no such attribute before routing; it is None where no route matches.
        route = getattr(self, "matched_route", None)
        return route.name if route is not None else ""


def includeme(config: Configurator) -> None:
    config.include(".settings")
    config.set_request_factory(SiteRequest)
