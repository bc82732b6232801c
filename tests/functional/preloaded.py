"""An app that a server loads before it forks, and that has used its store by then."""

import os
import threading
from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.router import Router

from sessionsite.sessions import ping
from sessionsite.sessions.pruner import Pruner


def count(request: Request) -> dict[str, Any]:
    request.session["n"] = request.session.get("n", 0) + 1
    return {"n": request.session["n"], "pid": os.getpid()}


def connections(registry: Registry) -> list[int]:
    """The server's processes that this process is connected to."""
    pool = registry.getUtility(ISessionFactory).store.engine.pool
    return [made.dbapi_connection.pgconn.backend_pid for made in pool._made]


def about(request: Request) -> dict[str, Any]:
    """What there is of us in this process, which uses the store, and was in its parent."""
    ping(request.registry)
    return {
        "pid": os.getpid(),
        "pruners": [thread.name for thread in threading.enumerate()].count("session-pruner"),
        "connections": connections(request.registry),
        "at the fork": request.registry.at_the_fork,
    }


def make_app() -> Router:
    settings = {
        "sessionsite.session_factory": "sessionsite.sessions.server.session_factory_from_settings",
        "session.secret": "only-the-tests-of-forks-know-this-secret",
        "session.sqlalchemy.url": os.environ["DATABASE_URL"],
        "session.prune_interval": "1",
    }
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        for view in (count, about):
            config.add_route(view.__name__, f"/{view.__name__}")
            config.add_view(view, route_name=view.__name__, renderer="json")
    app = config.make_wsgi_app()
    factory = app.registry.getUtility(ISessionFactory)
    ping(app.registry)
    factory.store.load("nobody", factory.now())
    Pruner(factory.store, 1, factory.now).prune()
    app.registry.at_the_fork = connections(app.registry)
    return app
