"""Bodies that are made while they are sent, and use the session all the while."""

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from webtest import TestApp

from sessionsite.sessions import HeadersSentError, StoreError
from tests.sessions.apps import FACTORIES, count, drop_the_table, rows

include = pytest.mark.parametrize("include", [True, False], ids=["included", "alone"])
both = pytest.mark.parametrize("kind", ["server", "cookie"])


@pytest.fixture
def stream(make_app: Any) -> Callable[..., TestApp]:
    """Make an app that runs `late(request)` between the two chunks of its page."""

    def make(
        late: Callable[[Request], Any],
        kind: str = "server",
        begun: bool = True,
        include: bool = True,
        **changes: str,
    ) -> TestApp:
        def chunks(request: Request) -> Iterator[bytes]:
            yield b"one"
            late(request)
            yield b"two"

        def view(request: Request) -> Response:
            if not include:
                request.session.get("n")  # or the factory would not know of the body
            return Response(app_iter=chunks(request))

        def setup(config: Configurator) -> None:
            config.add_route("begin", "/begin")
            config.add_view(count, route_name="begin")
            config.add_route("read", "/read")
            config.add_view(
                lambda request: dict(request.session), route_name="read", renderer="json"
            )

        app: TestApp = make_app(view, setup=setup, include=include, **FACTORIES[kind], **changes)
        if begun:
            app.get("/begin")
        return app

    return make


def send(app: TestApp, read: int, **environ: str) -> None:
    """Send a request as a server does, whose client goes away after `read` chunks."""
    environ.setdefault("HTTP_COOKIE", "; ".join(f"{k}={v}" for k, v in app.cookies.items()))
    made = Request.blank("/", environ=environ).environ
    body = app.app(made, lambda status, headers, exc_info=None: None)
    try:
        for _ in range(read):
            next(iter(body))
    finally:
        body.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]


class TestWhatIsPutInWhileTheBodyIsSent:
    @include
    def test_it_is_stored_where_there_is_a_row(
        self, stream: Callable[..., TestApp], include: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = stream(count, include=include)
        for number in (2, 3):
            assert app.get("/").text == "onetwo"
            assert app.get("/read").json == {"n": number}
        assert errors(caplog) == []

    @pytest.mark.parametrize("read", [2, 3])
    def test_it_is_stored_for_a_client_that_goes_away(
        self, stream: Callable[..., TestApp], read: int
    ) -> None:
        app = stream(count)
        send(app, read=2)
        assert rows(app) == ['{"n":2}']

    @both
    @include
    @pytest.mark.parametrize("begun", [True, False])
    def test_it_is_refused_where_it_needs_a_cookie(
        self,
        stream: Callable[..., TestApp],
        kind: str,
        include: bool,
        begun: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if kind == "server" and begun:
            return  # there is a row
        app = stream(count, kind, begun, include)
        with pytest.raises(HeadersSentError, match="the headers of the response have left"):
            app.get("/?secret=x")
        (line,) = errors(caplog)
        assert line.startswith("GET /, session ")
        assert "secret" not in line
        assert app.get("/read").json == ({"n": 1} if begun else {})
        if kind == "server":
            assert rows(app) == []

    def test_the_log_cannot_be_forged_by_a_path(
        self, stream: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
    ) -> None:
        app = stream(count, begun=False)
        with pytest.raises(HeadersSentError):
            send(app, read=3, SCRIPT_NAME="/a\r\nERROR b\u1234")
        (line,) = errors(caplog)
        assert line.startswith("GET /a%0D%0AERROR b%3F/, session ")

    @both
    def test_to_read_is_no_change(
        self,
        stream: Callable[..., TestApp],
        kind: str,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for begun in (True, False):
            app = stream(lambda r: r.session.get("n"), kind, begun)
            # It is time for another cookie, which reading has the cookie factory send.
            factory = app.app.registry.getUtility(ISessionFactory)
            monkeypatch.setattr(factory, "now", lambda: datetime.now(UTC) + timedelta(minutes=5))
            assert app.get("/").text == "onetwo"
        assert errors(caplog) == []

    @both
    def test_what_came_before_it_is_stored(
        self, stream: Callable[..., TestApp], make_app: Any, kind: str
    ) -> None:
        def chunks(request: Request) -> Iterator[bytes]:
            count(request)
            yield b"one"
            request.session.get("n")

        app = make_app(lambda request: Response(app_iter=chunks(request)), **FACTORIES[kind])
        app.get("/")
        assert "sessionsite" in app.cookies

    def test_a_new_token_is_refused_at_once(self, stream: Callable[..., TestApp]) -> None:
        refused = []

        def late(request: Request) -> None:
            with pytest.raises(HeadersSentError, match="a new token") as caught:
                request.session.regenerate()
            refused.append(caught.value)
            count(request)  # which is another matter

        app = stream(late)
        app.get("/")
        assert refused
        assert app.get("/read").json == {"n": 2}

    def test_a_new_session_is_refused_at_once_where_it_is_saved(
        self, stream: Callable[..., TestApp]
    ) -> None:
        refused = []

        def late(request: Request) -> None:
            for save in (request.session.save, lambda: request.session.transact(len)):
                request.session["n"] = 1
                with pytest.raises(HeadersSentError, match="a new session") as caught:
                    save()
                refused.append(caught.value)

        app = stream(late, begun=False)
        with pytest.raises(HeadersSentError):
            app.get("/")
        assert rows(app) == []
        assert len(refused) == 2

    def test_a_logout_holds(self, stream: Callable[..., TestApp]) -> None:
        app = stream(lambda request: request.session.invalidate())
        app.get("/")
        assert rows(app) == []
        assert app.get("/read").json == {}

    def test_a_logout_holds_where_a_new_session_is_refused(
        self, stream: Callable[..., TestApp]
    ) -> None:
        def late(request: Request) -> None:
            request.session.invalidate()
            request.session["n"] = 5

        app = stream(late)
        with pytest.raises(HeadersSentError):
            app.get("/")
        assert rows(app) == []

    def test_an_error_of_the_apps_leaves_it_stored(
        self, stream: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
    ) -> None:
        def late(request: Request) -> None:
            count(request)
            raise ZeroDivisionError

        app = stream(late)
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        assert app.get("/read").json == {"n": 2}
        assert errors(caplog) == []

    def test_an_error_in_its_close_does_too(self, make_app: Any) -> None:
        def chunks(request: Request) -> Iterator[bytes]:
            try:
                yield b"one"
                yield b"two"
            finally:
                count(request)
                raise ZeroDivisionError

        def view(request: Request) -> Response:
            if "n" not in request.session:
                return count(request)
            return Response(app_iter=chunks(request))

        app = make_app(view)
        app.get("/")
        with pytest.raises(ZeroDivisionError):
            send(app, read=1)
        assert rows(app) == ['{"n":2}']


class TestAStoreThatGoesAway:
    def test_part_of_the_answer_has_left_so_that_the_app_fails(
        self, stream: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
    ) -> None:
        ids = []

        def late(request: Request) -> None:
            ids.append(request.session.id)
            count(request)
            drop_the_table(request)

        app = stream(late)
        with pytest.raises(StoreError):
            app.get("/?secret=x")
        _, line = errors(caplog)  # the first is the store's
        assert line.startswith(f"GET /, session {ids[0]}: part of the response has left")
        assert "secret" not in line

    def test_the_session_may_not_even_be_loaded(
        self, stream: Callable[..., TestApp], caplog: pytest.LogCaptureFixture
    ) -> None:
        app = stream(count)
        app.get("/")
        with app.app.registry.getUtility(ISessionFactory).store.engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE sessions")
        with pytest.raises(StoreError):
            app.get("/")
        assert errors(caplog)[-1].startswith("GET /, session : part of the response has left")


class TestBodies:
    def test_a_file_is_sent_as_the_server_does_it(self, make_app: Any, tmp_path: Path) -> None:
        path = tmp_path / "file.txt"
        path.write_text("0123456789")

        def view(request: Request) -> Response:
            count(request)
            return FileResponse(str(path), request=request)

        app = make_app(view)
        for extra in ({}, {"wsgi.file_wrapper": FileWrapper}):
            environ = Request.blank("/").environ | extra
            sent = app.app(environ, lambda status, headers, exc_info=None: None)
            assert type(sent).__name__ in ("FileIter", "FileWrapper")
            assert b"".join(sent) == b"0123456789"
            sent.close()

    def stream(self, body: Any, **options: Any) -> Callable[[Request], Response]:
        def view(request: Request) -> Response:
            count(request)
            return Response(app_iter=body(), **options)

        return view

    def test_its_length_is_kept(self, make_app: Any) -> None:
        def body() -> Iterator[bytes]:
            yield b"12345"

        app = make_app(self.stream(body, content_length=5))
        assert app.get("/").headers["Content-Length"] == "5"
        assert app.get("/").text == "12345"

    def test_a_part_of_it_can_be_asked_for(self, make_app: Any) -> None:
        class Ranged:
            def __iter__(self) -> Iterator[bytes]:
                return iter([b"01234", b"56789"])

            def app_iter_range(self, start: int, stop: int) -> list[bytes]:
                return [b"0123456789"[start:stop]]

        def body() -> Iterator[bytes]:
            yield b"01234"
            yield b"56789"

        for each in (Ranged, body):
            app = make_app(self.stream(each, content_length=10, conditional_response=True))
            response = app.get("/", headers={"Range": "bytes=3-6"}, status=206)
            assert response.body == b"3456"
            assert app.get("/").text == "0123456789"

    def test_a_head_request_does_not_make_it(self, make_app: Any) -> None:
        def body() -> Iterator[bytes]:
            raise AssertionError
            yield b""

        make_app(self.stream(body)).head("/")

    def test_one_without_a_chunk_is_empty(self, make_app: Any) -> None:
        app = make_app(self.stream(lambda: iter([b"", b""])))
        assert app.get("/").body == b""

    def test_one_that_is_not_sent_is_closed(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        closed = []

        class Body(list[bytes]):
            def close(self) -> None:
                closed.append(type(self))
                raise ZeroDivisionError  # it fails at that too

        class Lazy:
            close = Body.close

            def __iter__(self) -> Iterator[bytes]:
                return iter([b"x"])

        for kind in (Body, Lazy):

            def view(request: Request, kind: Any = kind) -> Response:
                count(request)
                drop_the_table(request)
                return Response(app_iter=kind())

            make_app(view).get("/", status=503)
        assert closed == [Body, Lazy]
        assert "ZeroDivisionError" in caplog.text

    def test_it_lets_go_of_the_session_when_it_is_closed(
        self, stream: Callable[..., TestApp]
    ) -> None:
        kept: list[Any] = []
        app = stream(lambda request: kept.append(weakref.ref(request.session)))
        gc.disable()
        try:
            send(app, read=2)
            assert kept[0]() is None
        finally:
            gc.enable()
