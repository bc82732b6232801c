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
    """The token is the session's; asking for one to compare with does not start a session."""

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
        headers = event.response.headerlist
        present = {name.lower() for name, _ in headers}
        wanted = over_tls if event.request.scheme == "https" else HEADERS
        headers += [header for header in wanted if header[0].lower() not in present]

    config.add_subscriber(add_headers, NewResponse)
    config.set_csrf_storage_policy(SessionCSRFPolicy())
    # Browsers send the origin of every POST. To a client that sends none, the token is enough.
    config.set_default_csrf_options(require_csrf=True, allow_no_origin=True)
    # Outside all others, which take the path for granted (pyramid_debugtoolbar's, for one).
    config.add_tween(
        "sessionsite.security.guard_tween_factory", under=INGRESS, over=[SAVE_TWEEN, MAIN]
    )


def guard_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Answer 400 to a request that the site can't read, before anything is made from it.

    Its `Host` is missing, malformed, or none of `allowed_hosts`, its path is no UTF-8, or it
    posts what is no form.
    """
    allowed = registry.site.allowed_hosts

    def check(request: Request) -> None:
        try:
            path = request.path_info
            _ = request.POST
        # The latter is what WebOb raises for a form in an encoding of its own.
        except (ValueError, LookupError, DeprecationWarning) as exc:
            raise HTTPBadRequest("The path is not in UTF-8, or the form not readable.") from exc
        match = _HOST.fullmatch(request.environ.get("HTTP_HOST", ""))
        if match and (not allowed or match[1].lower() in allowed):
            return
        if path != "/healthz":  # load balancers often name no host, or an address
            raise HTTPBadRequest("No site of this name is served here.")

    def guard_tween(request: Request) -> Response:
        try:
            check(request)
        except HTTPBadRequest:
            return request.invoke_exception_view(sys.exc_info())
        return handler(request)

    return guard_tween
