"""What protects the visitors of the site: response headers, host names, CSRF tokens."""

import re
from collections.abc import Callable

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.events import NewResponse
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.interfaces import ICSRFStoragePolicy
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW, MAIN
from zope.interface import implementer

from .settings import site_settings

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    # same-origin, not no-referrer: the check of a POST's origin needs to see it
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

Handler = Callable[[Request], Response]


@implementer(ICSRFStoragePolicy)
class SessionCSRFPolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]  # untyped base
    """The token is the session's; asking for one to compare with does not start a session."""

    def check_csrf_token(self, request: Request, supplied_token: str) -> bool:
        if request.session.new:
            return False
        return bool(super().check_csrf_token(request, supplied_token))


def includeme(config: Configurator) -> None:
    site = site_settings(config.registry.settings)

    def add_headers(event: NewResponse) -> None:
        headers = event.response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if site.hsts is not None and event.request.scheme == "https":
            headers["Strict-Transport-Security"] = f"max-age={site.hsts}"

    config.add_subscriber(add_headers, NewResponse)
    config.set_csrf_storage_policy(SessionCSRFPolicy())
    config.set_default_csrf_options(require_csrf=True)
    config.add_tween("sessionsite.security.host_tween_factory", under=EXCVIEW, over=MAIN)


def host_tween_factory(handler: Handler, registry: Registry) -> Handler:
    """Answer 400 to a `Host` that is missing, malformed, or none of `allowed_hosts`.

    Links and the history are made from it. Health checks of a load balancer often name none.
    """
    allowed = site_settings(registry.settings).allowed_hosts

    def host_tween(request: Request) -> Response:
        match = _HOST.fullmatch(request.environ.get("HTTP_HOST", ""))
        if match and (not allowed or match[1].lower() in allowed):
            return handler(request)
        if request.path_info == "/healthz":
            return handler(request)
        raise HTTPBadRequest("This site is not known by the name that was asked for.")

    return host_tween
