"""The pages, the forget form, the health check, and the error pages."""

import logging
import re
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import BadCSRFOrigin, BadCSRFToken
from pyramid.httpexceptions import HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPSeeOther
from pyramid.path import AssetResolver
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.view import exception_view_config, notfound_view_config, view_config

from .routes import links
from .session_info import history_items, policy, session_details
from .sessions import RETRY_AFTER, StoreError, ping, remark

log = logging.getLogger(__name__)

# Set in the environment once the 500 page has logged its error, for the gate.
LOGGED = "sessionsite.error_logged"
# HTML, 13.2.3.5: controls, noncharacters and surrogates are errors, and NUL is dropped.
_NOT_IN_HTML = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane + 0xFFFE) + chr(plane + 0xFFFF) for plane in range(0, 0x110000, 0x10000))
    + "]"
)
FAVICON = AssetResolver().resolve("sessionsite:static/favicon.ico").abspath()


def page(request: Request, title: str) -> dict[str, Any]:
    """Return what every page shows; only a visit gets the form, its token and the messages."""
    session = request.session if request.has_sessions and request.may_be_visit else None
    history = request.history
    return {
        "title": title,
        "links": links(request),
        "history": history_items(history) if history else "",
        "visits": len(history),
        "viewed": request.is_in_front,
        "limit": request.registry.site.history_limit,
        "details": session_details(request) if session is not None else [],
        "messages": [_shown(m) for m in session.peek_flash()] if session is not None else [],
        "csrf_token": session.get_csrf_token() if session is not None else None,
    }


def _shown(message: Any) -> str:
    # An app, or an edited row, may have put in what no page can hold.
    return _NOT_IN_HTML.sub("\ufffd", str(message))


def error_page(request: Request, status: int, title: str, advice: str) -> dict[str, Any]:
    """Return what an error page shows; it asks neither session nor store."""
    request.response.status_int = status
    return {
        "title": title,
        "links": links(request),
        "advice": advice,
        "history": None,
        "messages": [],
        "csrf_token": None,
    }


@view_config(route_name="home", request_method="GET", renderer="templates/home.jinja2")
def home(request: Request) -> dict[str, Any]:
    return page(request, "Home")


@view_config(route_name="about", request_method="GET", renderer="templates/about.jinja2")
def about(request: Request) -> dict[str, Any]:
    return {**page(request, "About"), "policy": policy(request)}


@view_config(route_name="contact", request_method="GET", renderer="templates/contact.jinja2")
def contact(request: Request) -> dict[str, Any]:
    address = request.registry.site.contact
    return {**page(request, "Contact"), "address": address}


@view_config(route_name="forget", request_method="POST")
def forget(request: Request) -> Response:
    request.session.invalidate()
    request.session.flash("Your session has ended, and its history is deleted.")
    return HTTPSeeOther(location=request.route_path("home"))


@view_config(route_name="healthz", request_method="GET", renderer="json")
def healthz(request: Request) -> dict[str, str]:
    """Tell whether the store can be read and, without `?deep=0`, written."""
    request.response.cache_control.no_store = True
    deep = "deep=0" not in request.query_string.split("&")
    try:
        ping(request.registry, deep=deep)
        said = remark(request.registry) if deep else None
    except StoreError as exc:
        request.response.status_int = 503
        cause = {"cause": str(exc)} if request.is_asked_directly else {}
        return {"status": "error", "store": "unreachable"} | cause
    return {"status": "ok"} | ({"remark": said} if said else {})


@view_config(route_name="favicon", request_method="GET")
def favicon(request: Request) -> Response:
    return FileResponse(FAVICON, request=request, cache_max_age=86400)


@notfound_view_config(renderer="templates/error.jinja2")
def not_found(request: Request) -> dict[str, Any]:
    advice = "There is no page at this address. The menu lists the pages of this site."
    return error_page(request, 404, "Not found", advice)


@exception_view_config(BadCSRFToken, renderer="templates/error.jinja2")
@exception_view_config(BadCSRFOrigin, renderer="templates/error.jinja2")
def bad_csrf(request: Request) -> dict[str, Any]:
    advice = "This form is out of date. Go back to the page, reload it, and try again."
    return error_page(request, 400, "Bad request", advice)


@exception_view_config(HTTPBadRequest, renderer="templates/error.jinja2")
def bad_request(request: Request) -> dict[str, Any]:
    advice = "The site did not understand this request. Check the address."
    return error_page(request, 400, "Bad request", advice)


@exception_view_config(HTTPRequestEntityTooLarge, renderer="templates/error.jinja2")
def too_large(request: Request) -> dict[str, Any]:
    return error_page(request, 413, "Too large", "The site takes no forms as large as this one.")


@exception_view_config(StoreError, renderer="templates/error.jinja2")
def unavailable(request: Request) -> dict[str, Any]:
    request.response.retry_after = RETRY_AFTER
    request.response.cache_control.no_store = True
    advice = "The site can't reach its sessions. Your session is not lost: try again in a moment."
    return error_page(request, 503, "Unavailable", advice)


def failed(request: Request) -> dict[str, Any]:
    request.environ[LOGGED] = True
    log.error("Unexpected error", exc_info=request.exc_info)
    advice = "Something went wrong on our side. The site has logged the error. Please try again."
    return error_page(request, 500, "Error", advice)


def includeme(config: Configurator) -> None:
    config.include(".settings")
    config.scan(__name__)
    if config.registry.site.error_page:
        config.add_exception_view(failed, renderer="templates/error.jinja2", context=Exception)
