"""What becomes of a request whose session can't be loaded or stored, or whose view fails."""

import logging
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from webtest import TestApp

from sessionsite.sessions.data import new_id
from sessionsite.sessions.payload import PayloadError
from sessionsite.sessions.server.token_cookie import Credentials, new_token
from sessionsite.sessions.store import StoreError
from tests.harness import free_port
from tests.sessions.apps import FACTORIES, SERVER, View, count, drop_the_table, rows


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
    credentials = Credentials(new_id(), new_token())
    return str(factory.cookie._signer.dumps(credentials).decode())


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
        lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert len(lines) == 2  # at start, and of the request
        for line in lines:
            assert "no table sessions" in line
            assert "sessionsite init-db" in line


class TestAnErrorThatNoViewAnswers:
    def app(self, make_app: Any, **changes: str) -> TestApp:
        def view(request: Request) -> Response:
            if "n" in request.session:
                request.session["n"] += 1
                raise ZeroDivisionError
            return count(request)

        return make_app(view, **changes)

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

    @pytest.mark.parametrize("begins_another", [False, True])
    def test_a_logout_in_it_holds(self, make_app: Any, begins_another: bool) -> None:
        def view(request: Request) -> Response:
            if "n" in request.session:
                request.session.invalidate()
                if begins_another:  # nobody would get its cookie, but it must not keep the row
                    request.session["m"] = 1
                raise ZeroDivisionError
            return count(request)

        app = make_app(view)
        app.get("/")
        assert rows(app) == ['{"n":1}']
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        assert '{"n":1}' not in rows(app)
        assert app.get("/").text == "1"


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


def test_a_cookie_that_is_not_sent_after_an_error_leaves_the_headers_alone(make_app: Any) -> None:
    def view(request: Request) -> Response:
        request.session["n"] = 1
        raise ZeroDivisionError

    app = make_app(
        view,
        on_error=lambda request: Response(status=500, headerlist=[("X-Last", "as it was")]),
        session__set_on_exception="false",
        session__partitioned="true",
        session__secure="true",
        session__samesite="none",
        **FACTORIES["cookie"],
    )
    headers = app.get("/", status=500).headers
    assert headers["X-Last"] == "as it was"
    assert "Partitioned" not in str(headers)
