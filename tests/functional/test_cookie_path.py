"""`session.path` beside the site's own addresses: it covers all of them, or a warning says so."""

import logging
from typing import Any

import pytest
from webtest import TestApp

from tests.harness.sites import Site, history

WARNING = "outside of session.path"
both = pytest.mark.parametrize("name", ["development", "sqlite"])


def make(make_site: Any, name: str, path: str) -> Site:
    settings = {"session.path": path}
    if name != "development":
        settings["session.cookie_name"] = "__Secure-sessionsite"  # __Host- has the path / alone
    site: Site = make_site(name, settings)
    return site


def mounted(site: Site, prefix: str) -> TestApp:
    """A visitor of the site under `prefix`, as waitress's url_prefix serves it."""
    app = site.app

    def under_the_prefix(environ: dict[str, Any], start_response: Any) -> Any:
        assert environ["PATH_INFO"].startswith(prefix)
        rest = environ["PATH_INFO"].removeprefix(prefix)
        return app(environ | {"SCRIPT_NAME": prefix, "PATH_INFO": rest}, start_response)

    return Site(site.name, under_the_prefix).visitor()


@both
def test_a_path_that_leaves_pages_out_keeps_their_visits_apart_and_is_warned_of_once(
    make_site: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = make(make_site, name, "/about")
    visitor = site.visitor()
    for length in (1, 2, 3):
        assert len(history(visitor.get("/about"))) == length
    assert WARNING not in caplog.text
    for _ in range(3):
        page = visitor.get("/")
        assert history(page) == [f"{site.url}/"]
    # No answer can bring the session back to a page that its cookie is not for.
    page.forms[0].submit(status=400)
    warnings = [record for record in caplog.records if WARNING in record.message]
    assert [(warning.levelno, warning.args) for warning in warnings] == [
        (logging.WARNING, ("/about",))
    ]


@both
@pytest.mark.parametrize("path", ["/app", "/app/", "/", "/a%%70p"])
def test_a_path_that_covers_the_mounted_site_is_no_warning(
    make_site: Any, name: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = mounted(make(make_site, name, path), "/app")
    for address in ("/app/", "/app/about", "/app/contact"):
        page = visitor.get(address)
    if path != "/a%%70p":  # to clients, other than to servers, that is another path
        assert len(history(page)) == 3
        visitor.get("/app/").forms[0].submit(status=303)
    assert WARNING not in caplog.text


@both
@pytest.mark.parametrize("path", ["/ap", "/app/about", "/APP", "/app2", "/other"])
def test_a_path_beside_the_mounted_site_is_warned_of(
    make_site: Any, name: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = mounted(make(make_site, name, path), "/app")
    visitor.get("/app/contact")
    assert f"session.path = {path} has a session" in caplog.text
