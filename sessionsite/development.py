"""What pyramid_debugtoolbar needs to work on this site; only development.ini includes it."""

from importlib.util import find_spec
from ipaddress import ip_address

from pyramid.config import Configurator
from pyramid.events import ApplicationCreated, NewResponse
from pyramid.request import Request

# The toolbar's pages, and the traceback that it shows for a failed page, use inline scripts.
TOOLBAR_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data:"
CONSOLE = "debugtoolbar.intercept_exc"


def includeme(config: Configurator) -> None:
    """Include the debug toolbar where it is installed, which the extra `dev` does."""
    if find_spec("pyramid_debugtoolbar") is None:
        return
    config.registry.settings.setdefault(CONSOLE, "display")
    config.include("pyramid_debugtoolbar")
    config.add_subscriber(_disable_console, ApplicationCreated)
    config.set_debugtoolbar_request_authorization(_can_be_shown)
    config.add_subscriber(_let_the_toolbar_run, NewResponse)


def _disable_console(event: ApplicationCreated) -> None:
    """Show a traceback without the console that runs what is sent to it.

    Whatever else goes wrong, no web page gets from there to a command. An .ini file can have the
    console with `debugtoolbar.intercept_exc = debug`; the toolbar itself has it for `display`, too.
    """
    registry = event.app.registry
    if registry.settings[CONSOLE] != "debug":
        registry.pdtb_eval_exc = False


def _can_be_shown(request: Request) -> bool:
    """Leave out the toolbar where others could see it, and where it would fail or read too much.

    Others: a client that is not on this machine, a host name that `allowed_hosts` does not write
    out. It fails at a query string that is no UTF-8, and reads each body, of whatever route.
    """
    if not request.registry.site.allowed_hosts.name(request.environ.get("HTTP_HOST", "")):
        return False
    if not ip_address(request.remote_addr).is_loopback:
        return False
    # not `is_body_readable`, which waitress has say yes for every GET
    has_body = request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ
    if has_body or request.method not in ("GET", "HEAD"):
        return False
    try:
        _ = request.GET
    except UnicodeDecodeError:
        return False
    return True


def _let_the_toolbar_run(event: NewResponse) -> None:
    path = event.request.environ["PATH_INFO"]
    if path.startswith("/_debug_toolbar/") or event.response.status_int == 500:
        event.response.headers["Content-Security-Policy"] = TOOLBAR_POLICY
