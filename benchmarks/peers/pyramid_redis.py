"""pyramid_session_redis, for `python -m waitress benchmarks.peers.pyramid_redis:app`."""

import os
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from benchmarks.peers.visit import PATHS, TIMEOUT, TITLES, visit


def page(request: Request) -> dict[str, Any]:
    return visit(request.session, request.url, TITLES[request.matched_route.name])


settings = {
    "jinja2.trim_blocks": True,
    "jinja2.lstrip_blocks": True,
    "redis.sessions.secret": os.environ["SESSION_SECRET"],
    "redis.sessions.redis_url": os.environ["REDIS_URL"],
    "redis.sessions.timeout": TIMEOUT,
    "redis.sessions.cookie_secure": True,
    "redis.sessions.cookie_samesite": "Lax",
}
with Configurator(settings=settings) as config:
    config.include("pyramid_jinja2")
    config.add_jinja2_renderer(".html")
    config.include("pyramid_session_redis")
    for name, path in PATHS.items():
        config.add_route(name, path, request_method="GET")
        config.add_view(page, route_name=name, renderer=f"templates/{name}.html")
    config.include("benchmarks.peers.pyramid_races")
app = config.make_wsgi_app()
