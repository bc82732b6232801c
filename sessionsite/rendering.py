"""How templates become pages: Jinja, without what it does for each page that no page needs."""

from collections.abc import Callable, MutableMapping
from types import CodeType
from typing import Any

from jinja2 import Environment, Template
from pyramid.config import Configurator
from pyramid.events import ApplicationCreated
from pyramid_jinja2 import IJinja2Environment


class FlatTemplate(Template):
    """A template whose globals are one dict.

    Each page copies them, and Jinja's own `ChainMap` is copied in Python, name by name.
    """

    @classmethod
    def from_code(
        cls,
        environment: Environment,
        code: CodeType,
        globals: MutableMapping[str, Any],
        uptodate: Callable[[], bool] | None = None,
    ) -> Template:
        return super().from_code(environment, code, dict(globals), uptodate)


def _flatten(event: ApplicationCreated) -> None:
    environment = event.app.registry.getUtility(IJinja2Environment, name=".jinja2")
    environment.template_class = FlatTemplate


def includeme(config: Configurator) -> None:
    config.add_settings({"jinja2.trim_blocks": True, "jinja2.lstrip_blocks": True})
    config.include("pyramid_jinja2")
    config.add_subscriber(_flatten, ApplicationCreated)
