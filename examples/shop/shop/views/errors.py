"""Pages for what goes wrong."""

from typing import Any

from pyramid.csrf import BadCSRFToken
from pyramid.httpexceptions import HTTPForbidden, HTTPSeeOther
from pyramid.request import Request
from pyramid.view import exception_view_config, forbidden_view_config, notfound_view_config


@notfound_view_config(renderer="shop:templates/error.jinja2")
def not_found(request: Request) -> dict[str, Any]:
    request.response.status_int = 404
    return {"title": "Not found", "text": "There is no page at this address."}


@forbidden_view_config()
def forbidden(error: HTTPForbidden, request: Request) -> HTTPSeeOther:
    """Users may do all there is: whoever may not is to log in first."""
    # The address of a form can't be gone back to: it answers to POST alone.
    next_ = request.path_qs if request.method == "GET" else request.route_path("cart")
    return HTTPSeeOther(request.route_path("login", _query={"next": next_}))


@exception_view_config(BadCSRFToken, renderer="shop:templates/error.jinja2")
def bad_token(error: BadCSRFToken, request: Request) -> dict[str, Any]:
    request.response.status_int = 400
    return {
        "title": "Please try again",
        "text": "The form was too old, or did not come from this shop. Nothing was changed.",
    }
