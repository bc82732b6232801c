"""`make serve` is safe from other people's pages: none gets from a name of its own to a command.

Three steps once led there: a page gives its name the address 127.0.0.1, and so reads all of the
development site; it forges a session, with the secret that is published, whose data makes a page
fail; the failed page has the token of the debug toolbar's console. Each is closed by itself.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pyramid.paster import get_app
from pyramid.request import Request
from webtest import TestApp

import sessionsite
from sessionsite.sessions import ConfigurationError
from sessionsite.sessions.checks import DEVELOPMENT_SECRET
from sessionsite.sessions.signing import RotatingSigner
from tests import ROOT
from tests.harness.production import Browser
from tests.harness.pserve import start_development
from tests.harness.sites import Site, history
from tests.security.wsgi import send

INI = ROOT / "development.ini"


class Text:
    """A serializer of text alone."""

    def dumps(self, appstruct: str) -> bytes:
        return appstruct.encode()

    loads = None


def failing(request: Request) -> Any:
    local = "seen in the traceback"
    raise RuntimeError(local)


def site_that_fails(tmp_path: Path, *lines: str) -> Site:
    """development.ini's site, where every About page fails."""
    config = tmp_path / "development.ini"
    head = "[app:main]\nuse = egg:sessionsite\n"
    text = INI.read_text("utf-8")
    for line in lines:
        text = re.sub(rf"(?m)^{re.escape(line.partition(' =')[0])} = .*\n", "", text)
    config.write_text(text.replace(head, head + "".join(f"{line}\n" for line in lines)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sessionsite.views.policy", failing)
        app = get_app(str(config))
    return Site("development", app)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("sessionsite.views.policy", failing)
    return site_that_fails(tmp_path)


def console_of(site: Site) -> tuple[str, str]:
    """The address of a failed page's traceback, and that of the console of its first frame."""
    page = send(site, path="/about")[2]
    request_id = re.search(r"_debug_toolbar/([0-9a-f]+)", page)
    assert request_id
    address = f"/_debug_toolbar/{request_id[1]}/exception"
    toolbar = site.app.registry.pdtb_history.get(request_id[1])
    return address, f"{address}/execute/{toolbar.traceback.frames[-1].id}"


class TestTheNameOfAPage:
    @pytest.mark.parametrize("path", ["/", "/about", "/_debug_toolbar/", "/_debug_toolbar/sse"])
    def test_hosts_it_is_answered_nothing_of_the_site(self, site: Site, path: str) -> None:
        console_of(site)
        status, headers, text = send(site, path=path, HTTP_HOST="rebound.evil.example:6543")
        assert (status, "Set-Cookie" in headers) == (400, False)
        assert "debug" not in text.lower()

    def test_hosts_nor_can_it_read_a_traceback_or_run_a_command(self, site: Site) -> None:
        for address in console_of(site):
            status, _, text = send(
                site, path=address, HTTP_HOST="rebound.evil.example:6543", QUERY_STRING="cmd=6*7"
            )
            assert status == 400
            assert "42" not in text
            assert "Traceback" not in text

    def test_hosts_a_health_check_shows_it_no_toolbar(self, site: Site) -> None:
        status, _, text = send(site, path="/healthz", HTTP_HOST="rebound.evil.example")
        assert (status, text) == (200, '{"status": "ok"}')
        assert list(site.app.registry.pdtb_history) == []

    def test_hosts_where_any_is_answered_the_toolbar_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sessionsite.views.policy", failing)
        site = site_that_fails(tmp_path, "sessionsite.allowed_hosts = * localhost")
        console = console_of(site)
        for path in ("/", "/about", "/_debug_toolbar/", *console):
            _, _, text = send(site, path=path, HTTP_HOST="any.example")
            assert "pDebug" not in text
            assert "Traceback" not in text

    @pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "fe80::1", "::ffff:192.0.2.1"])
    def test_hosts_nor_to_another_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setattr("sessionsite.views.policy", failing)
        site = site_that_fails(tmp_path, "debugtoolbar.hosts = 0.0.0.0/0 ::/0")
        for path in ("/", "/about", "/_debug_toolbar/", *console_of(site)):
            _, _, text = send(site, path=path, REMOTE_ADDR=address)
            assert "pDebug" not in text
            assert "Traceback" not in text


class TestTheSecret:
    def test_cs_fixation_the_published_one_signs_nothing(self, site: Site) -> None:
        signer = RotatingSigner([DEVELOPMENT_SECRET], "sessionsite.cookie.", Text())  # type: ignore[arg-type]
        data = {"history": ["http://localhost/forged"], "_f_": 5}
        forged = signer.dumps(json.dumps([4e9, 0, data])).decode()
        status, _, text = send(site, HTTP_COOKIE=f"sessionsite={forged}")
        assert status == 200
        assert "forged" not in text

    def test_cs_fixation_each_checkout_has_its_own(self, tmp_path: Path) -> None:
        sites = []
        for name in ("one", "another"):
            (tmp_path / name).mkdir()
            sites.append(site_that_fails(tmp_path / name))
        visitor, other = (site.visitor() for site in sites)
        visitor.get("/contact")
        other.set_cookie("sessionsite", visitor.cookies["sessionsite"])
        assert history(other.get("/")) == ["http://localhost/"]

    def test_cs_fixation_no_secret_is_in_what_git_keeps(self) -> None:
        assert "session.secret" not in INI.read_text("utf-8")
        assert "%(here)s/development.secret\n" in INI.read_text("utf-8")
        assert "*.secret" in (ROOT / ".gitignore").read_text("utf-8").splitlines()

    @pytest.mark.servers
    def test_cs_fixation_a_session_outlives_a_restart(self, tmp_path: Path) -> None:
        server = start_development(tmp_path)
        with server:
            browser = Browser(server.url)
            assert "pDebug" in browser.get("/contact").text
            server.stop()
            server.start()
            assert len(browser.get("/").history) == 2
        assert (tmp_path / "development.secret").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "development.secret").read_text().strip() not in server.output()


class TestTheConsole:
    def test_a_failed_page_shows_its_traceback_and_has_no_console(self, site: Site) -> None:
        status, _, text = send(site, path="/about")
        assert status == 500
        assert "seen in the traceback" in text
        assert "EVALEX = false" in text

    def test_no_command_is_run(self, site: Site) -> None:
        address, console = console_of(site)
        token = site.app.registry.pdtb_token
        status, _, text = send(site, path=console, QUERY_STRING=f"cmd=6*7&token={token}")
        assert status == 400
        assert "42" not in text
        assert "EVALEX = false" in send(site, path=address)[2]

    def test_who_wants_it_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sessionsite.views.policy", failing)
        site = site_that_fails(tmp_path, "debugtoolbar.intercept_exc = debug")
        _, console = console_of(site)
        assert "42" in send(site, path=console, QUERY_STRING="cmd=6*7")[2]


@pytest.mark.parametrize("includes", ["sessionsite.development", "pyramid_debugtoolbar"])
class TestProduction:
    def test_the_site_does_not_start_with_the_toolbar(self, includes: str) -> None:
        with pytest.raises(ConfigurationError, match=r"pyramid.includes .*error_page = false"):
            sessionsite.main({}, **{"pyramid.includes": includes})

    def test_nor_where_the_tweens_are_written_out(self, includes: str) -> None:
        tweens = "pyramid_debugtoolbar.toolbar_tween_factory pyramid.tweens.excview_tween_factory"
        with pytest.raises(ConfigurationError, match=r"error_page = false"):
            sessionsite.main({}, **{"pyramid.includes": includes, "pyramid.tweens": tweens})

    def test_it_does_on_a_developers_machine(self, includes: str) -> None:
        settings = {"pyramid.includes": includes, "sessionsite.error_page": "false"}
        TestApp(sessionsite.main({}, **settings)).get("/", status=200)


def test_without_the_toolbar_installed_the_site_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyramid_debugtoolbar", None)
    config = tmp_path / "development.ini"
    config.write_text(INI.read_text("utf-8"), "utf-8")
    page = TestApp(get_app(str(config))).get("/", extra_environ={"HTTP_HOST": "localhost"})
    assert "History" in page
    assert "_debug_toolbar" not in page
