"""The site's addresses."""

from dataclasses import dataclass

from pyramid.config import Configurator
from pyramid.request import Request

PAGES = {"home": "Home", "about": "About", "contact": "Contact"}
FORMS = {"forget"}
"""The routes that take a form; a request for any other has none (`SiteRequest.POST`)."""


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that every page shows."""

    pages: tuple[tuple[str, str], ...]
    """The title and the address of each page."""
    forget: str
    stylesheet: str
    icon: str


def links(request: Request) -> Links:
    """Return the addresses under the path prefix (`SCRIPT_NAME`) that the site is mounted at."""
    known: dict[str, Links] = request.registry.site_links  # made once for each prefix
    prefix = request.script_name
    if prefix not in known:
        known[prefix] = Links(
            pages=tuple((title, request.route_path(name)) for name, title in PAGES.items()),
            forget=request.route_path("forget"),
            stylesheet=request.static_path("sessionsite:static/site.css"),
            icon=request.static_path("sessionsite:static/favicon.ico"),
        )
    return known[prefix]


def includeme(config: Configurator) -> None:
    config.registry.site_links = {}
    config.add_route("home", "/")
    config.add_route("about", "/about")
    config.add_route("contact", "/contact")
    config.add_route("forget", "/forget")
    config.add_route("healthz", "/healthz")
    config.add_route("favicon", "/favicon.ico")
