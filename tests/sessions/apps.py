"""Other projects' apps, with one view that uses its session."""

from collections.abc import Callable

from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

SERVER = "sessionsite.sessions.server.session_factory_from_settings"
View = Callable[[Request], Response]


def count(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(request.session["n"]))


def rows(app: TestApp) -> list[str]:
    """The payloads in the app's table."""
    store = app.app.registry.getUtility(ISessionFactory).store
    with store.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT payload FROM sessions").scalars())
