"""A Pyramid site of three pages that remembers each visitor's page visits in a session."""

from importlib.metadata import version
from typing import Any

from pyramid.config import Configurator
from pyramid.router import Router

from .refusal import refusals_in_one_line
from .secret_file import with_secret
from .sessions import expand_environment

__version__ = version("sessionsite")


@refusals_in_one_line()
def main(global_config: dict[str, str], **settings: Any) -> Router:
    """Return the WSGI app that an `[app:main]` section describes. Raises `ConfigurationError`."""
    with Configurator(settings=with_secret(expand_environment(settings))) as config:
        config.include(".settings")
        config.include(".rendering")
        config.include(".sessions")
        config.include(".request")
        config.include(".history")
        config.include(".security")
        config.include(".gate")
        config.include(".routes")
        config.include(".static_files")
        config.include(".views")
    return config.make_wsgi_app()
