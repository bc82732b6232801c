"""Login and logout, and a user's devices."""

import re
import secrets
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config
from sqlalchemy import select

from sessionsite.sessions import login, logout

from ..devices import name_of
from ..models import User
from ..models.user import hashed
from ..security import owner_of

REMEMBERED = 30 * 86400  # seconds


@view_config(route_name="login", renderer="shop:templates/login.jinja2")
def show_login(request: Request) -> dict[str, Any]:
    return {"name": "", "next": request.GET.get("next", "/")}


@view_config(route_name="login", request_method="POST", renderer="shop:templates/login.jinja2")
def log_in(request: Request) -> Any:
    form = request.POST
    name, password, next_ = (form.get(field, "") for field in ("name", "password", "next"))
    user = request.dbsession.scalar(select(User).where(User.name == name))
    if user is None:
        hashed(password, secrets.token_bytes(16))  # takes as long as for a user that exists
    if user is None or not user.has_password(password):
        request.response.status_int = 422
        return {"name": name, "next": next_, "error": "This name and password do not match."}
    # A new token, so that a cookie which was copied before opens nothing. The cart stays.
    login(request, owner_of(user), lifetime=REMEMBERED if "remember" in form else None)
    request.session.label = name_of(request.user_agent)
    request.session.flash(f"Welcome, {user.name}.")
    return HTTPSeeOther(_own_path(next_))


@view_config(route_name="logout", request_method="POST")
def log_out(request: Request) -> HTTPSeeOther:
    logout(request)
    request.session.flash("You are logged out.")  # this is in the next session
    return HTTPSeeOther(request.route_path("home"))


@view_config(
    route_name="devices", renderer="shop:templates/devices.jinja2", permission="see devices"
)
def devices(request: Request) -> dict[str, Any]:
    return {"devices": request.session_store.sessions_of(request.session.owner)}


@view_config(route_name="devices_end", request_method="POST", permission="end devices")
def end(request: Request) -> HTTPSeeOther:
    store, chosen = request.session_store, request.POST.get("id", "")
    if chosen == request.session.id:
        return log_out(request)
    mine = {each.id for each in store.sessions_of(request.session.owner)}
    if chosen in mine and store.end(chosen):  # never another user's
        request.session.flash("That device is logged out.")
    return HTTPSeeOther(request.route_path("devices"))


@view_config(route_name="devices_everywhere", request_method="POST", permission="end devices")
def end_everywhere(request: Request) -> HTTPSeeOther:
    request.session_store.end_owner(request.session.owner, except_id=request.session.id)
    logout(request)  # this one too: by itself, so that its browser is told
    request.session.flash("You are logged out on all devices.")
    return HTTPSeeOther(request.route_path("home"))


def _own_path(path: str) -> str:
    """Return `path` if it is one of this site; a link to the login can say anything."""
    # Browsers take a backslash for a slash, and leave out white space.
    return path if re.fullmatch(r"/(?![/\\])[^\s\\]*", path) else "/"
