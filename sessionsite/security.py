"""What protects the visitors of the site: response headers and CSRF tokens; no toolbar for them."""

from pyramid.config import Configurator
from pyramid.csrf import LegacySessionCSRFStoragePolicy
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.interfaces import ICSRFStoragePolicy, ITweens
from pyramid.request import Request
from pyramid.response import Response
from zope.interface import implementer

from .sessions import ConfigurationError

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
_CSRF_KEY = "_csrft_"  # Pyramid's
TOOLBAR_TWEEN = "pyramid_debugtoolbar.toolbar_tween_factory"


@implementer(ICSRFStoragePolicy)
class SessionCSRFPolicy(LegacySessionCSRFStoragePolicy):  # type: ignore[misc]  # untyped base
    """Keeps the CSRF token in the session; to check one starts no session."""

    def check_csrf_token(self, request: Request, supplied_token: str) -> bool:
        if not request.has_sessions:
            return False
        # Only a cookie of ours gives a new session a token: its own session has ended, or the
        # answer with the next cookie was lost. The visitor's form must work nevertheless.
        if request.session.new and not request.session.get(_CSRF_KEY):
            return False
        return bool(super().check_csrf_token(request, supplied_token))


def add_headers(response: Response, scheme: str, hsts: int | None) -> None:
    """Give `response` the security headers that it does not have; `hsts` over https alone."""
    wanted: tuple[tuple[str, str], ...] = HEADERS
    if hsts is not None and scheme == "https":
        wanted = (*HEADERS, ("Strict-Transport-Security", f"max-age={hsts}"))
    # WebOb's setdefault looks through all headers again for each one
    present = {name.lower() for name, _ in response.headerlist}
    response.headerlist += [header for header in wanted if header[0].lower() not in present]


def includeme(config: Configurator) -> None:
    config.include(".settings")
    site = config.registry.site

    def protect(event: NewResponse) -> None:
        add_headers(event.response, event.request.scheme, site.hsts)

    config.add_subscriber(protect, NewResponse)
    config.set_csrf_storage_policy(SessionCSRFPolicy())
    # Browsers send the origin of every POST. A client that sends none needs only the CSRF token.
    config.set_default_csrf_options(require_csrf=True, allow_no_origin=True)
    if site.error_page:
        config.add_subscriber(_refuse_toolbar, ApplicationCreated)


def _refuse_toolbar(event: ApplicationCreated) -> None:
    """Raise `ConfigurationError` where the debug toolbar would show visitors what it knows.

    Behind a proxy that is not trusted every visitor comes from 127.0.0.1, which is all that the
    toolbar asks for.
    """
    tweens = event.app.registry.getUtility(ITweens)
    if TOOLBAR_TWEEN in {name for name, _ in tweens.explicit or tweens.implicit()}:
        raise ConfigurationError(
            "pyramid.includes has pyramid_debugtoolbar or sessionsite.development, which show "
            "visitors the site's insides: remove it, or, on a developer's machine, set "
            "sessionsite.error_page = false"
        )
