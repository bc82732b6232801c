"""A Pyramid app with a session: SESSION_SECRET=$(sessionsite generate-secret) python minimal.py"""

import os
from typing import Any

from pyramid.config import Configurator
from waitress import serve

SETTINGS = {
    "sessionsite.session_factory": "sessionsite.sessions.server.session_factory_from_settings",
    "session.secret": os.environ["SESSION_SECRET"],
    "session.sqlalchemy.url": os.environ.get("DATABASE_URL", "sqlite:///sessions.db"),
    "session.sql.create_table": "true",
}


def home(request: Any) -> str:
    visits = request.session.setdefault("visits", [])
    visits.append(request.path)  # a list keeps what parallel requests add to it
    return f"This is visit {len(visits)}.\n"


def make_app() -> Any:
    with Configurator(settings=SETTINGS) as config:
        config.include("sessionsite.sessions")
        config.add_route("home", "/")
        config.add_view(home, route_name="home", renderer="string")
    return config.make_wsgi_app()


if __name__ == "__main__":
    serve(make_app(), listen=f"localhost:{os.environ.get('PORT', '6543')}")
