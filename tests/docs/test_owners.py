"""docs/owners.md: its views are an app that runs, its policy a security policy."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.security import forget, remember
from webtest import TestApp

from sessionsite.cli.config import SERVER_FACTORY
from sessionsite.sessions import EndReason, SessionEnded
from tests import ROOT
from tests.docs.blocks import take, take_one
from tests.harness.stores import sql_keys

DOCUMENT = (ROOT / "docs" / "owners.md").read_text("utf-8")
REMEMBER = take_one("owners.md", "Remember me", "python")
SECRET = "a-secret-for-tests-that-is-long-enough"
BLOCKS = [block.code for block in take("owners.md", language="python")]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Import the page's block of code that begins so, as a module of that name."""
    monkeypatch.syspath_prepend(tmp_path)
    imported = []

    def load(name: str, start: str) -> Any:
        (code,) = (block for block in BLOCKS if block.startswith(start))
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
        imported.append(name)
        return importlib.import_module(name)

    yield load
    for name in imported:
        del sys.modules[name]


def server_settings_of(url: str) -> dict[str, Any]:
    return {
        "sessionsite.session_factory": SERVER_FACTORY,
        "session.secret": SECRET,
        "session.prune_interval": "none",
        **sql_keys(url),
    }


@pytest.fixture
def app(sqlite_url: str, module: Callable[..., Any]) -> Any:
    with Configurator(settings=server_settings_of(sqlite_url)) as config:
        config.include("sessionsite.sessions")
        for name in ("login", "logout", "sessions", "end", "password", "token", "everywhere"):
            config.add_route(name, f"/{name}")
        config.add_view(lambda r: r.session.get_csrf_token(), route_name="token", renderer="json")
        config.scan(module("page_account", "from pyramid.httpexceptions"))
        everywhere = module(
            "page_everywhere", "from sessionsite.sessions import logout"
        ).log_out_everywhere
        config.add_view(lambda r: everywhere(r), route_name="everywhere", renderer="json")
        config.add_route("flash", "/flash")
        config.add_view(lambda r: r.session.pop_flash(), route_name="flash", renderer="json")
        return config.make_wsgi_app()


class Browser(TestApp):  # type: ignore[misc]
    def send(self, path: str, status: int = 303, **form: str) -> Any:
        return self.post(path, {"csrf_token": self.get("/token").json} | form, status=status)

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/sessions").json
        return found


def test_a_user_logs_in_sees_and_ends_sessions_and_logs_out(app: Any) -> None:
    home, phone, stranger = (Browser(app) for _ in range(3))
    for browser in (home, phone):
        browser.send("/login", user="ann")
    stranger.send("/login", user="bob")
    assert [each["current"] for each in home.listed()].count(True) == 1
    (other,) = (each["id"] for each in home.listed() if not each["current"])
    stranger.send("/end", id=other)  # no session of the stranger's
    assert len(phone.listed()) == 2
    home.send("/end", id=other)
    phone.get("/sessions", status=403)
    phone.send("/login", user="ann", remember="yes")
    (cookie,) = phone.cookiejar
    assert cookie.expires is not None
    home.send("/password")
    phone.get("/sessions", status=403)
    assert len(home.listed()) == 1
    home.send("/logout")
    home.get("/sessions", status=403)
    assert len(stranger.listed()) == 1


def test_a_user_logs_out_everywhere_and_is_told(app: Any) -> None:
    home, phone, stranger = (Browser(app) for _ in range(3))
    for browser, user in ((home, "ann"), (phone, "ann"), (stranger, "bob")):
        browser.send("/login", user=user)
    home.send("/everywhere", status=200)
    assert home.get("/flash").json == ["You are logged out on all devices."]
    for browser in (home, phone):
        browser.get("/sessions", status=403)
    assert len(stranger.listed()) == 1


def test_the_helper_is_a_security_policy(sqlite_url: str, module: Callable[..., Any]) -> None:
    policy = module("page_policy", "from sessionsite.sessions import LoginHelper").SecurityPolicy()
    with Configurator(settings=server_settings_of(sqlite_url)) as config:
        config.include("sessionsite.sessions")
        config.set_security_policy(policy)

        def come(request: Any) -> str:
            assert list(remember(request, "user:42", lifetime=86400)) == []
            return "in"

        def go(request: Any) -> str:
            assert list(forget(request)) == []
            return "out"

        for name, view in (("come", come), ("go", go)):
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name, renderer="string")
        config.add_route("secret", "/secret")
        config.add_view(
            lambda r: r.authenticated_userid, route_name="secret", permission="see",
            renderer="string",
        )  # fmt: skip
        browser = TestApp(config.make_wsgi_app())
    browser.get("/secret", status=403)
    browser.get("/come")
    assert browser.get("/secret").text == "user:42"
    (cookie,) = browser.cookiejar
    assert cookie.expires is not None
    browser.get("/go")
    browser.get("/secret", status=403)


def test_remember_me_is_what_login_does(sqlite_url: str) -> None:
    with Configurator(settings=server_settings_of(sqlite_url)) as config:
        config.include("sessionsite.sessions")

        def remembered(request: Any) -> list[Any]:
            session, seconds = request.session, 30 * 86400
            exec(REMEMBER, {"session": session, "seconds": seconds})
            session["by hand"] = True
            return [session.expires_at.timestamp() - session.created]

        config.add_route("page", "/")
        config.add_view(remembered, route_name="page", renderer="json")
        browser = TestApp(config.make_wsgi_app())
    assert browser.get("/").json == [pytest.approx(30 * 86400, abs=5)]
    (cookie,) = browser.cookiejar
    assert cookie.expires is not None


def test_a_subscriber_hears_of_theft(
    module: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Configurator() as config:
        config.scan(module("page_events", "from pyramid.events"))
    for reason in (EndReason.LOGOUT, EndReason.REUSE):
        config.registry.notify(SessionEnded(id="an-id", owner="user:42", reason=reason))
    assert capsys.readouterr().out == "the session an-id of user:42 may have been stolen\n"


def test_the_table_of_reasons_is_the_codes() -> None:
    rows = DOCUMENT.partition("| reason | who tells it |\n|---|---|\n")[2].partition("\n\n")[0]
    named = [name for row in rows.splitlines() for name in re.findall("`(.*?)`", row.split("|")[1])]
    assert sorted(named) == sorted(EndReason)
