"""A small tea shop: a cart and a login in the session, orders in the shop's own database."""

from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router

from sessionsite.sessions import expand_environment


def main(global_config: dict[str, str], **settings: Any) -> Router:
    """Return the WSGI app that an `[app:main]` section describes."""
    with Configurator(settings=expand_environment(settings)) as config:
        config.include("pyramid_jinja2")
        config.include("sessionsite.sessions")
        config.include(".models")
        config.include(".routes")
        config.include(".security")
        config.scan(".views")
    return config.make_wsgi_app()
