"""`config.include("sessionsite.sessions")` in an app of somebody else's, and the factory alone."""

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sessionsite.sessions import session_factory
from sessionsite.sessions.configuration import ConfigurationError
from sessionsite.sessions.payload import PayloadError
from sessionsite.sessions.server import session_factory_from_settings
from sessionsite.sessions.store import StoreError
from tests.harness import free_port

SERVER = "sessionsite.sessions.server.session_factory_from_settings"
COOKIE = "sessionsite.sessions.cookie.session_factory_from_settings"
View = Callable[[Request], Response]
# The lines that turn the settings of one factory into those of the other.
FACTORIES = {
    "server": {},
    "cookie": {
        "sessionsite__session_factory": COOKIE,
        "session__sqlalchemy__url": None,
        "session__sql__create_table": None,
    },
}


@pytest.fixture
def settings(sqlite_url: str) -> dict[str, str]:
    return {
        "sessionsite.session_factory": SERVER,
        "session.secret": "a-secret-for-tests-that-is-long-enough",
        "session.sqlalchemy.url": sqlite_url,
        "session.sql.create_table": "true",
    }


@pytest.fixture
def make_app(settings: dict[str, str]) -> Iterator[Callable[..., TestApp]]:
    """An app of one view; with `include` as users have it, else with the factory alone."""
    factories = []

    def make(
        view: View, *, include: bool = True, on_error: View | None = None, **changes: str | None
    ) -> TestApp:
        values = settings | {k.replace("__", "."): v for k, v in changes.items()}
        values = {k: v for k, v in values.items() if v is not None}
        with Configurator(settings=values) as config:
            if include:
                config.include("sessionsite.sessions")
            else:
                config.set_session_factory(session_factory_from_settings(values))
            config.add_route("page", "/")
            config.add_view(view, route_name="page")
            if on_error:
                config.add_exception_view(on_error, context=Exception)
        app = config.make_wsgi_app()
        factories.append(app.registry.getUtility(ISessionFactory))
        return TestApp(app)

    yield make
    for factory in factories:
        if store := getattr(factory, "store", None):
            store.engine.dispose()


def count(request: Request) -> Response:
    request.session["n"] = request.session.get("n", 0) + 1
    return Response(str(request.session["n"]))


def drop_the_table(request: Request) -> None:
    """Break the store for real, under a request that has loaded its session already."""
    with request.session._factory.store.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE sessions")


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


def rows(app: TestApp) -> list[str]:
    """The payloads in the app's table."""
    store = app.app.registry.getUtility(ISessionFactory).store
    with store.engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT payload FROM sessions").scalars())


class TestStoreFailures:
    def away(self) -> str:
        return f"postgresql://u:hunter2@127.0.0.1:{free_port()}/d"

    def test_a_store_that_is_away_is_a_503(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = make_app_on(self.away(), count)
        response = app.get("/", status=503)
        assert response.headers["Retry-After"].isdigit()
        app.set_cookie("sessionsite", signed(app))
        response = app.get("/", status=503)
        assert "Set-Cookie" not in response.headers
        assert "no-store" in response.headers["Cache-Control"]
        assert "hunter2" not in caplog.text + response.text

    def test_a_failed_load_is_remembered(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        errors = []

        def view(request: Request) -> Response:
            for _ in range(3):
                with pytest.raises(StoreError) as caught:
                    _ = request.session
                errors.append(caught.value)
            return Response("fine")

        app = make_app_on(self.away(), view)
        app.set_cookie("sessionsite", signed(app))
        assert app.get("/").text == "fine"
        assert len(errors) == 3
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1

    def test_a_failed_save_is_a_503_that_sets_no_cookie(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            request.session["n"] = 1
            drop_the_table(request)
            return Response("lost")

        response = make_app(view).get("/", status=503)
        assert "Set-Cookie" not in response.headers
        assert "lost" not in response.text

    def test_the_app_can_have_its_own_page_for_it(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            request.session["n"] = 1
            drop_the_table(request)
            return Response("lost")

        def page(request: Request) -> Response:
            assert isinstance(request.exception, StoreError)
            return Response("our own", status=503)

        assert make_app(view, on_error=page).get("/", status=503).text == "our own"

    def test_a_missing_table_names_the_command(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = make_app(count, session__sql__create_table="false")
        app.get("/", status=503)
        (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert "no table sessions" in line
        assert "sessionsite init-db" in line


def make_app_on(url: str, view: View) -> TestApp:
    with Configurator(
        settings={
            "sessionsite.session_factory": SERVER,
            "session.secret": "a-secret-for-tests-that-is-long-enough",
            "session.sqlalchemy.url": url,
        }
    ) as config:
        config.include("sessionsite.sessions")
        config.add_route("page", "/")
        config.add_view(view, route_name="page")
    return TestApp(config.make_wsgi_app())


def signed(app: TestApp) -> str:
    """A cookie that the app's factory has signed."""
    factory = app.app.registry.getUtility(ISessionFactory)
    return str(factory._signer.dumps(factory.new_secret()).decode())


class TestAnErrorThatNoViewAnswers:
    def app(self, make_app: Any, **changes: str) -> TestApp:
        def view(request: Request) -> Response:
            if "n" in request.session:
                request.session["n"] += 1
                raise ZeroDivisionError
            return count(request)

        return make_app(view, **changes)  # type: ignore[no-any-return]

    def test_it_leaves_the_sessions_changes_stored(self, make_app: Any) -> None:
        app = self.app(make_app)
        app.get("/")
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        assert rows(app) == ['{"n":2}']

    def test_unless_it_is_told_not_to(self, make_app: Any) -> None:
        app = self.app(make_app, session__set_on_exception="false")
        app.get("/")
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        assert rows(app) == ['{"n":1}']

    def test_it_starts_no_session_whose_cookie_nobody_would_get(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            request.session["n"] = 1
            raise ZeroDivisionError

        app = make_app(view)
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        assert rows(app) == []


class TestWhatJSONCannotHold:
    def view(self, request: Request) -> Response:
        request.session["bad"] = {1, 2}
        return Response("lost")

    def test_it_is_an_error_that_names_the_key(self, make_app: Any) -> None:
        with pytest.raises(PayloadError, match=r"session\['bad'\]"):
            make_app(self.view).get("/")

    def test_the_app_can_have_its_own_page_for_it(self, make_app: Any) -> None:
        def page(request: Request) -> Response:
            return Response(type(request.exception).__name__, status=500)

        for name in ("server", "cookie"):
            app = make_app(self.view, on_error=page, **FACTORIES[name])
            assert app.get("/", status=500).text == "PayloadError"

    def test_a_logout_holds_even_then(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            if "n" in request.session:
                request.session.invalidate()
                request.session["bad"] = {1, 2}
            return count(request)

        app = make_app(view, on_error=lambda request: Response(status=500))
        app.get("/")
        app.get("/", status=500)
        assert rows(app) == []


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
