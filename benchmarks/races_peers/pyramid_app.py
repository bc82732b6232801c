"""Pyramid with this project's sessions: `config.include("sessionsite.sessions")` is all of it."""

import time
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.router import Router


def _work(request: Request) -> None:
    request.session.get("user")  # sessions are lazy: this loads it
    request.response.headers["X-Loaded"] = str(time.time())
    time.sleep(float(request.GET.get("work", 0)) / 1000)


def healthz(request: Request) -> dict[str, Any]:
    return {}


def me(request: Request) -> dict[str, Any]:
    data = dict(request.session)
    _work(request)
    return data


def set_key(request: Request) -> dict[str, Any]:
    _work(request)
    request.session[request.matchdict["key"]] = "x"
    return {}


def visit(request: Request) -> dict[str, Any]:
    request.session["history"] = [request.path, *request.session.get("history", [])]
    _work(request)
    return {}


def touch(request: Request) -> dict[str, Any]:
    _work(request)
    request.session.touch()
    return {}


def rotate(request: Request) -> dict[str, Any]:
    request.session.regenerate()
    return {}


def login(request: Request) -> HTTPSeeOther:
    request.session.regenerate()
    request.session["user"] = request.matchdict["user"]
    return HTTPSeeOther("/me")


def logout(request: Request) -> dict[str, Any]:
    request.session.invalidate()
    return {}


VIEWS = {
    "/healthz": healthz,
    "/me": me,
    "/set/{key}": set_key,
    "/visit/{number}": visit,
    "/touch": touch,
    "/rotate": rotate,
    "/login/{user}": login,
    "/logout": logout,
}


def main(global_config: dict[str, str], **settings: Any) -> Router:
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        for pattern, view in VIEWS.items():
            config.add_route(view.__name__, pattern)
            config.add_view(view, route_name=view.__name__, renderer="json")
    return config.make_wsgi_app()
