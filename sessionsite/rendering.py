"""How templates become pages: Jinja, without what it does for each page that no page needs."""

from collections.abc import Callable, Mapping, MutableMapping
from types import CodeType
from typing import Any

from jinja2 import Environment, Template
from pyramid.config import Configurator
from pyramid_jinja2 import Jinja2RendererFactory


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


class EncodedRenderer:
    """Renders a template to the bytes of a page.

    Pyramid would encode a text in the charset of the response, for which it reads the response's
    headers three times.
    """

    def __init__(self, render: Callable[[Mapping[str, Any], dict[str, Any]], str]) -> None:
        self._render = render

    def __call__(self, value: Mapping[str, Any], system: dict[str, Any]) -> bytes:
        return self._render(value, system).encode()


def includeme(config: Configurator) -> None:
    config.add_settings({"jinja2.trim_blocks": True, "jinja2.lstrip_blocks": True})
    config.include("pyramid_jinja2")
    factory = Jinja2RendererFactory()
    config.add_renderer(".jinja2", lambda info: EncodedRenderer(factory(info)))

    def set_up() -> None:
        factory.environment = environment = config.get_jinja2_environment()
        environment.template_class = FlatTemplate

    config.action(None, set_up, order=999)  # once pyramid_jinja2 has made the environment
