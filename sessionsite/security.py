"""What protects the visitors of the site: response headers, host names, CSRF tokens."""

import re
import sys
from collections.abc import Callable, Sequence

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.events import NewResponse
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import ICSRFStoragePolicy
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import INGRESS, MAIN
from zope.interface import implementer

from .sessions import SAVE_TWEEN

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    # same-origin, not no-referrer: the check of a POST's origin needs to see it
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

Handler = Callable[[Request], Response]


@implementer(ICSRFStoragePolicy)
class SessionCSRFPolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]  # untyped base
    """Keeps the CSRF token in the session; to check one starts no session."""

    def check_csrf_token(self, request: Request, supplied_token: str) -> bool:
        if not request.has_sessions or request.session.new:
            return False
        return bool(super().check_csrf_token(request, supplied_token))


def includeme(config: Configurator) -> None:
    config.include(".settings")
    site = config.registry.site
    over_tls: Sequence[tuple[str, str]] = HEADERS
    if site.hsts is not None:
        over_tls = (*HEADERS, ("Strict-Transport-Security", f"max-age={site.hsts}"))

    def add_headers(event: NewResponse) -> None:
        for name, value in over_tls if event.request.scheme == "https" else HEADERS:
            event.response.headers.setdefault(name, value)

    config.add_subscriber(add_headers, NewResponse)
    config.set_csrf_storage_policy(SessionCSRFPolicy())
    # Browsers send the origin of every POST. A client that sends none needs only the CSRF token.
    config.set_default_csrf_options(require_csrf=True, allow_no_origin=True)
    # Outside all other tweens: some, such as pyramid_debugtoolbar's, fail at a path that is no
    # UTF-8.
    config.add_tween(
        "sessionsite.security.guard_tween_factory", under=INGRESS, over=[SAVE_TWEEN, MAIN]
    )


def guard_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Answer 400 to a request that the site can't read or does not serve, before all else.

    That is a request whose `Host` is missing, malformed or none of `allowed_hosts`, whose path is
    no UTF-8, or whose form can't be read.
    """
    allowed = registry.site.allowed_hosts

    def check(request: Request) -> None:
        try:
            path = request.path_info
            _ = request.POST
        # WebOb raises DeprecationWarning for a form in any encoding but UTF-8.
        except (ValueError, LookupError, DeprecationWarning) as exc:
            raise HTTPBadRequest("The path is not UTF-8, or the form can't be read.") from exc
        match = _HOST.fullmatch(request.environ.get("HTTP_HOST", ""))
        if match and (not allowed or match[1].lower() in allowed):
            return
        if path != "/healthz":  # load balancers often send no host name, or an address
            raise HTTPBadRequest("This server has no site of that name.")

    def guard_tween(request: Request) -> Response:
        try:
            check(request)
        except HTTPBadRequest:
            return request.invoke_exception_view(sys.exc_info())
        return handler(request)

    return guard_tween
