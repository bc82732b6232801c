"""The site's addresses."""

from pyramid.config import Configurator

STATIC_MAX_AGE = 3600  # seconds


def includeme(config: Configurator) -> None:
    config.add_route("home", "/")
    config.add_route("about", "/about")
    config.add_route("contact", "/contact")
    config.add_route("forget", "/forget")
    config.add_route("healthz", "/healthz")
    config.add_route("favicon", "/favicon.ico")
    config.add_static_view("static", "sessionsite:static", cache_max_age=STATIC_MAX_AGE)
