"""Other projects' apps, with one view that uses its session."""

from collections.abc import Callable

from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

SERVER = "sessionsite.sessions.server.session_factory_from_settings"
COOKIE = "sessionsite.sessions.cookie.session_factory_from_settings"
# The lines that turn the settings of the server factory into those of another.
FACTORIES: dict[str, dict[str, str | None]] = {
    "server": {},
    "cookie": {
        "sessionsite__session_factory": COOKIE,
        "session__sqlalchemy__url": None,
        "session__sql__create_table": None,
    },
}
View = Callable[[Request], Response]


def count(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(request.session["n"]))


def drop_the_table(request: Request) -> None:
    """Break the store for real, under a request that has loaded its session already."""
    with request.session._row._store.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS sessions")


def rows(app: TestApp) -> list[str]:
    """The payloads in the app's table."""
    store = app.app.registry.getUtility(ISessionFactory).store
    with store.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT payload FROM sessions").scalars())
