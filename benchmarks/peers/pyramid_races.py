"""The pages of the races, for any Pyramid app to include."""

import time
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request


def _work(request: Request) -> None:
    request.session.get("user")  # sessions may be lazy: this loads it
    request.response.headers["X-Loaded"] = str(time.time())
    time.sleep(float(request.GET.get("work", 0)) / 1000)


def me(request: Request) -> dict[str, Any]:
    data = dict(request.session)
    _work(request)
    return data


def set_key(request: Request) -> dict[str, Any]:
    _work(request)
    request.session[request.matchdict["key"]] = "x"
    return {}


def add_visit(request: Request) -> dict[str, Any]:
    request.session["history"] = [request.path, *request.session.get("history", [])]
    _work(request)
    return {}


def touch(request: Request) -> dict[str, Any]:
    _work(request)
    getattr(request.session, "touch", request.session.changed)()
    return {}


def rotate(request: Request) -> dict[str, Any]:
    _regenerate(request.session)
    return {}


def _regenerate(session: Any) -> None:
    if hasattr(session, "regenerate"):
        session.regenerate()
        return
    kept = dict(session)  # pyramid_session_redis can only begin an empty one
    session.invalidate()
    session.update(kept)


def login(request: Request) -> HTTPSeeOther:
    _regenerate(request.session)
    request.session["user"] = request.matchdict["user"]
    return HTTPSeeOther("/me")


def logout(request: Request) -> dict[str, Any]:
    request.session.invalidate()
    return {}


VIEWS = {
    "/me": me,
    "/set/{key}": set_key,
    "/visit/{number}": add_visit,
    "/touch": touch,
    "/rotate": rotate,
    "/login/{user}": login,
    "/logout": logout,
}


def includeme(config: Configurator) -> None:
    for pattern, view in VIEWS.items():
        config.add_route(view.__name__, pattern)
        config.add_view(view, route_name=view.__name__, renderer="json")
