"""What pyramid_debugtoolbar needs to work on this site; only development.ini includes it."""

from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.request import Request

# The toolbar's pages, and the traceback that it shows for a failed page, use inline scripts.
TOOLBAR_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data:"


def includeme(config: Configurator) -> None:
    config.include("pyramid_debugtoolbar")
    config.set_debugtoolbar_request_authorization(_can_be_shown)
    config.add_subscriber(_let_the_toolbar_run, NewResponse)


def _can_be_shown(request: Request) -> bool:
    """Leave out the toolbar where it would fail: at a query string that is no UTF-8."""
    try:
        _ = request.GET
    except UnicodeDecodeError:
        return False
    return True


def _let_the_toolbar_run(event: NewResponse) -> None:
    path = event.request.environ["PATH_INFO"]
    if path.startswith("/_debug_toolbar/") or event.response.status_int == 500:
        event.response.headers["Content-Security-Policy"] = TOOLBAR_POLICY
