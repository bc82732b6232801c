"""`config.include("sessionsite.sessions")` in another project's app, and the factory alone."""

import gc
import subprocess
import sys
import weakref
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp

from sessionsite.sessions import MemoryStore, ServerSessionFactory, session_factory
from sessionsite.sessions.ini import ConfigurationError
from sessionsite.sessions.settings import server_settings
from tests.sessions.apps import SERVER, count, rows

SETTINGS = server_settings({"session.secret": "a-secret-for-tests-that-is-long-enough"})
kinds: list[type] = []


class OwnRequest(Request):  # type: ignore[misc]  # untyped base
    """An app's own."""


@pytest.mark.parametrize("include", [True, False], ids=["included", "alone"])
class TestBothWays:
    def test_a_session_works(self, make_app: Any, include: bool) -> None:
        app = make_app(count, include=include)
        assert [app.get("/").text for _ in range(3)] == ["1", "2", "3"]

    def test_what_depended_on_a_session_is_kept_by_no_cache(
        self, make_app: Any, include: bool
    ) -> None:
        def view(request: Request) -> Response:
            request.session.get("n")
            return Response(vary=("Accept",), cache_control="public, max-age=60")

        headers = make_app(view, include=include).get("/").headers
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Vary"] == "Accept, Cookie"

    def test_a_request_that_takes_no_session_asks_no_store(
        self, make_app: Any, include: bool
    ) -> None:
        app = make_app(lambda request: Response("free"), include=include)
        app.set_cookie("sessionsite", "x")
        headers = app.get("/").headers
        assert "Cache-Control" not in headers
        assert "Vary" not in headers


def test_a_session_is_stored_before_the_response_leaves(make_app: Any) -> None:
    app = make_app(count)
    seen = []

    def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            seen.append(rows(app))
            return start_response(status, headers, exc_info)

        return app.app(environ, start)

    TestApp(wsgi).get("/")
    assert seen == [['{"n":1}']]


class TestChoosingTheFactory:
    def test_none_is_registered_where_none_is_named(self) -> None:
        assert session_factory({}) is None
        assert session_factory({"sessionsite.session_factory": " "}) is None

    @pytest.mark.parametrize(
        "name", ["no.such.module", "sessionsite.nothing", "sessionsite..x", "sessionsite"]
    )
    def test_a_name_that_leads_nowhere_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=r"sessionsite\.session_factory = ") as caught:
            session_factory({"sessionsite.session_factory": name})
        assert "\n" not in str(caught.value)

    def test_any_callable_will_do(self) -> None:
        made = session_factory({"sessionsite.session_factory": "builtins.dict", "a": "1"})
        assert made == {"sessionsite.session_factory": "builtins.dict", "a": "1"}


def test_a_secure_cookie_on_plain_http_is_warned_of_once(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(count, session__secure="true")
    for _ in range(3):
        TestApp(app.app).get("/")
    warnings = [r for r in caplog.records if "trusted_proxy" in r.getMessage()]
    assert len(warnings) == 1


def test_a_session_ends_with_its_request_and_not_with_the_garbage_collection(
    make_app: Any,
) -> None:
    """Memory that is free at once is still in the processor's caches for the next request."""
    kept = []
    sent: dict[str, str] = {}

    def view(request: Request) -> Response:
        kept.append(weakref.ref(request.session))
        return count(request)

    app = make_app(view).app
    gc.disable()
    try:
        for _ in range(3):
            environ = Request.blank("/", headers=sent).environ
            answer = app(environ, lambda _, headers, exc=None: sent.update(headers))
            del environ, answer
            sent["Cookie"] = sent["Set-Cookie"].partition(";")[0]
        assert [session() for session in kept] == [None, None, None]
    finally:
        gc.enable()


def test_auto_is_as_secure_as_the_request(make_app: Any) -> None:
    app = make_app(count, session__secure="auto").app
    plain = TestApp(app).get("/").headers["Set-Cookie"]
    tls = TestApp(app).get("https://localhost/").headers["Set-Cookie"]
    assert ("secure" in plain, "secure" in tls) == (False, True)


def test_an_insecure_cookie_is_warned_of_at_start(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_app(count)
    assert "session.secure = false" in caplog.text


def test_the_toolbar_beside_sessions_on_a_server_is_warned_of(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    make_app(count)
    assert "pyramid_debugtoolbar" not in caplog.text
    make_app(count, pyramid__includes="pyramid_debugtoolbar")
    assert "pyramid_debugtoolbar shows the sessions of all visitors" in caplog.text


ANOTHER = SignedCookieSessionFactory("a-secret-for-tests-that-is-long-enough")


@pytest.mark.parametrize("argument", [ANOTHER, None], ids=["in the constructor", "in main"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_factory_that_keeps_the_named_one_out_is_warned_of(
    settings: dict[str, str], caplog: pytest.LogCaptureFixture, argument: Any, first: bool
) -> None:
    with Configurator(settings=settings, session_factory=argument) as config:
        if first and argument is None:
            config.set_session_factory(ANOTHER)
        config.include("sessionsite.sessions")
        if not first and argument is None:
            config.set_session_factory(ANOTHER)
        app = config.make_wsgi_app()
    assert app.registry.getUtility(ISessionFactory) is ANOTHER
    assert f"sessionsite.session_factory = {SERVER} is not used" in caplog.text


def test_a_factory_of_ours_around_the_named_one_is_not_warned_of(
    settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with Configurator(settings=settings) as config:
        config.include("sessionsite.sessions")
        config.set_session_factory(ServerSessionFactory(MemoryStore(), SETTINGS))
        config.make_wsgi_app()
    assert "is not used" not in caplog.text


WITHOUT_RETRY = """
import sys
sys.modules["pyramid_retry"] = None  # to import it is an ImportError
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp


def fail(request):
    request.session["n"] = request.session.get("n", 0) + 1
    raise ValueError(request.session["n"])


settings = {
    "sessionsite.session_factory": "sessionsite.sessions.server.session_factory_from_settings",
    "session.secret": "a-secret-for-tests-that-is-long-enough",
    "session.sqlalchemy.url": sys.argv[1],
    "session.sql.create_table": "true",
}
with Configurator(settings=settings) as config:
    config.include("sessionsite.sessions")
    config.add_route("page", "/")
    config.add_view(fail, route_name="page")
    config.add_exception_view(lambda exc, request: Response(str(exc)), context=ValueError)
app = TestApp(config.make_wsgi_app())
print([app.get("/").text for _ in range(3)])
"""


@pytest.mark.slow
def test_without_pyramid_retry_what_a_failed_request_changed_is_stored(sqlite_url: str) -> None:
    command = [sys.executable, "-c", WITHOUT_RETRY, sqlite_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "['1', '2', '3']\n", done.stderr


class TestSessionStore:
    """`request.session_store`, whatever makes the requests."""

    @staticmethod
    def app(factory: Any = None) -> TestApp:
        with Configurator(settings={}) as config:
            config.set_session_factory(ServerSessionFactory(MemoryStore(), SETTINGS))
            config.include("sessionsite.sessions")
            if factory is not None:
                config.set_request_factory(factory)
            config.add_route("home", "/")

            def view(request: Any) -> dict[str, Any]:
                request.session["seen"] = True
                kinds.append(type(request))
                return {"sessions": len(request.session_store.sessions_of("user:42"))}

            config.add_view(view, route_name="home", renderer="json")
            return TestApp(config.make_wsgi_app())

    @pytest.mark.parametrize("factory", [None, OwnRequest, lambda environ: OwnRequest(environ)])
    def test_every_request_has_it(self, factory: Any) -> None:
        kinds.clear()
        app = self.app(factory)
        for _ in range(2):
            assert app.get("/").json == {"sessions": 0}
        assert all(issubclass(kind, OwnRequest if factory else Request) for kind in kinds)

    @pytest.mark.parametrize("factory", [None, OwnRequest])
    def test_no_class_is_made_for_a_request(self, factory: Any) -> None:
        kinds.clear()
        app = self.app(factory)
        for _ in range(2):
            app.get("/")
        assert kinds[0] is kinds[1]
