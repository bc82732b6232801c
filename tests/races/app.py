"""The apps whose requests race: one with a view for whatever a session can do, and the site."""

import time
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.router import Router

from sessionsite import main as sessionsite
from tests.contract.accounts import add_views
from tests.races import broken
from tests.races.stores import ObedientStore, OrderTaker, now

VIEWS = (
    "end",
    "flash",
    "healthz",
    "increment",
    "login",
    "pop",
    "read",
    "regenerate",
    "set",
    "touch",
    "untouched",
    "zone",
)


def healthz(request: Request) -> dict[str, Any]:
    return {}


def untouched(request: Request) -> dict[str, Any]:
    return {}


def zone(request: Request) -> list[str]:
    return [*time.tzname]


def read(request: Request) -> dict[str, Any]:
    session = request.session
    return {"id": session.id, "created": session.created, "new": session.new, "data": dict(session)}


def set(request: Request) -> dict[str, Any]:  # noqa: A001  # it is the path's name
    request.session.update(request.GET)
    return {"set": dict(request.GET)}


def flash(request: Request) -> dict[str, Any]:
    for message in request.GET.getall("message"):
        request.session.flash(message)
    return {}


def pop(request: Request) -> dict[str, Any]:
    return {"messages": request.session.pop_flash()}


def increment(request: Request) -> dict[str, Any]:
    def change(session: Any) -> int:
        session["counter"] = session.get("counter", 0) + 1
        return int(session["counter"])

    return {"counter": request.session.transact(change)}


def touch(request: Request) -> dict[str, Any]:
    request.session.touch()
    return {"data": dict(request.session)}


def regenerate(request: Request) -> dict[str, Any]:
    request.session.regenerate()
    return {}


def login(request: Request) -> HTTPSeeOther:
    request.session["user"] = request.GET["user"]
    request.session.regenerate()
    return HTTPSeeOther("/read")


def end(request: Request) -> dict[str, Any]:
    request.session.invalidate()
    return {}


def views(global_config: dict[str, str], **settings: Any) -> OrderTaker:
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        for name in VIEWS:
            config.add_route(name, f"/{name}")
            config.add_view(globals()[name], route_name=name, renderer="json")
    return _prepare(config.make_wsgi_app())


def accounts(global_config: dict[str, str], **settings: Any) -> OrderTaker:
    """The documented login and logout, with CSRF checks."""
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        add_views(config)
    return _prepare(config.make_wsgi_app())


def site(global_config: dict[str, str], **settings: Any) -> OrderTaker:
    return _prepare(sessionsite(global_config, **settings))


def _prepare(app: Router) -> OrderTaker:
    factory = app.registry.getUtility(ISessionFactory)
    settings = app.registry.settings
    factory.store = ObedientStore(factory.store, int(settings["races.gate_port"]))
    if naive := settings.get("races.store"):
        factory.store = getattr(broken, naive)(factory.store)
    factory.now = now
    return OrderTaker(app)
