"""Jinja as the site sets it up."""

from typing import Any

from pyramid.config import Configurator
from pyramid.renderers import render

import sessionsite.rendering

PAGE: dict[str, Any] = {
    "title": "Ä",
    "links": {"pages": [], "forget": "", "stylesheet": "", "icon": ""},
    "advice": "<&>",
    "history": None,
    "messages": [],
    "csrf_token": None,
}


def rendering() -> Configurator:
    config = Configurator()
    config.include(sessionsite.rendering)
    config.commit()
    return config


def test_templates_have_jinjas_globals() -> None:
    environment = rendering().get_jinja2_environment()
    template = environment.from_string("{{ range(b)|join }} {{ dict(a=b).a }} {{ c }}")
    assert template.render(b=3, c=4) == "012 3 4"
    assert type(template.globals) is dict


def test_pages_are_rendered_to_bytes_and_escaped() -> None:
    config = rendering()
    config.begin()
    page = render("sessionsite:templates/error.jinja2", PAGE)
    config.end()
    assert "<title>Sessions - Ä</title>".encode() in page
    assert b'<p class="lead">&lt;&amp;&gt;</p>' in page
