"""The site's addresses."""

from pyramid.config import Configurator


def includeme(config: Configurator) -> None:
    config.add_route("home", "/")
    config.add_route("about", "/about")
    config.add_route("contact", "/contact")
    config.add_route("forget", "/forget")
    config.add_route("healthz", "/healthz")
    config.add_route("favicon", "/favicon.ico")
