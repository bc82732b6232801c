"""What is put into a session anywhere in a request is stored, or refused by an error."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid import testing
from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.interfaces import ISessionFactory
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW
from pyramid.wsgi import wsgiapp, wsgiapp2
from pyramid_retry import BeforeRetry, RetryableException
from webtest import TestApp

from sessionsite.sessions import SAVE_TWEEN, HeadersSentError, StoreError
from sessionsite.sessions.data import new_id
from sessionsite.sessions.opened import OPENED_KEY
from sessionsite.sessions.policy import discard
from sessionsite.sessions.server.token_cookie import Credentials, new_token
from tests.harness import free_port
from tests.sessions import places
from tests.sessions.apps import FACTORIES, count, drop_the_table, rows

both = pytest.mark.parametrize("kind", ["server", "cookie"])
everywhere = pytest.mark.parametrize("place", places.PLACES, ids=lambda place: place.__name__)


def done(request: Request) -> Response:
    return Response("done")


def signed(app: TestApp) -> str:
    """A cookie that the app's factory has signed."""
    factory = app.app.registry.getUtility(ISessionFactory)
    return str(factory.cookie._signer.dumps(Credentials(new_id(), new_token())).decode())


def add_reader(config: Configurator) -> None:
    config.add_route("read", "/read")
    config.add_view(lambda request: dict(request.session), route_name="read", renderer="json")


def at(place: places.Place, use: places.Use) -> Callable[[Configurator], None]:
    def setup(config: Configurator) -> None:
        add_reader(config)
        place(config, use)

    return setup


class TestEveryOrder:
    @both
    @everywhere
    def test_what_is_put_in_is_stored_on_a_first_visit_and_later(
        self, make_app: Any, kind: str, place: places.Place
    ) -> None:
        app = make_app(done, setup=at(place, count), **FACTORIES[kind])
        for number in (1, 2, 3):
            response = app.get("/")
            assert response.headers["Cache-Control"] == "private, no-store"
            assert "Cookie" in response.headers["Vary"]
            sent = response.headers.getall("Set-Cookie")
            assert len(sent) == (number == 1 or kind == "cookie")
            assert app.get("/read").json == {"n": number}
        if kind == "server":
            assert rows(app) == ['{"n":3}']

    @both
    @pytest.mark.parametrize("place", places.CALLBACKS, ids=lambda place: place.__name__)
    def test_the_factory_alone_does_the_same(
        self, make_app: Any, kind: str, place: places.Place
    ) -> None:
        if place is places.outer_tween:
            place = places.new_response  # there is no tween of ours to be outside of
        app = make_app(done, include=False, setup=at(place, count), **FACTORIES[kind])
        for number in (1, 2, 3):
            assert app.get("/").headers["Cache-Control"] == "private, no-store"
            assert app.get("/read").json == {"n": number}

    @both
    def test_the_factory_alone_refuses_what_comes_too_late_for_a_cookie(
        self, make_app: Any, kind: str
    ) -> None:
        setup = at(places.first_finished_callback, count)
        app = make_app(done, include=False, setup=setup, **FACTORIES[kind])
        with pytest.raises(HeadersSentError, match="the headers of the response have left"):
            app.get("/")

    def test_the_factory_alone_stores_it_where_no_cookie_is_needed(self, make_app: Any) -> None:
        def setup(config: Configurator) -> None:
            at(places.first_finished_callback, lambda r: r.session.pop("x", 0) or count(r))(config)
            config.add_route("begin", "/begin")
            config.add_view(count, route_name="begin")

        app = make_app(done, include=False, setup=setup)
        app.get("/begin")
        app.get("/")
        assert app.get("/read").json == {"n": 2}

    @both
    def test_the_factory_alone_stores_what_a_failed_request_has_put_in(
        self, make_app: Any, kind: str
    ) -> None:
        def view(request: Request) -> Response:
            if count(request).text != "1":
                raise ZeroDivisionError
            return done(request)

        app = make_app(view, include=False, setup=add_reader, **FACTORIES[kind])
        app.get("/")
        with pytest.raises(ZeroDivisionError):
            app.get("/")
        # no response, no cookie
        assert app.get("/read").json == {"n": 2 if kind == "server" else 1}

    @pytest.mark.parametrize("include", [True, False], ids=["included", "alone"])
    def test_a_finished_callback_may_add_another(self, make_app: Any, include: bool) -> None:
        def view(request: Request) -> Response:
            request.session.get("n")
            request.add_finished_callback(lambda r: r.add_finished_callback(count))
            return done(request)

        app = make_app(view, include=include, setup=add_reader)
        app.get("/")
        assert app.get("/read").json == {"n": 1}

    def test_two_who_would_both_be_last_do_not_wait_for_each_other(self, make_app: Any) -> None:
        def another(request: Request, response: Response) -> None:
            if request.response_callbacks:
                request.add_response_callback(another)
            else:
                response.headers["X-Last"] = "reached"

        def view(request: Request) -> Response:
            request.add_response_callback(another)
            return count(request)

        assert make_app(view, include=False).get("/").text == "1"

    def test_a_session_is_serialized_once(
        self, make_app: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sessionsite.sessions.payload import dumps

        made = []

        def counted(*args: Any, **options: Any) -> str:
            made.append(args)
            return dumps(*args, **options)

        monkeypatch.setattr("sessionsite.sessions.server.saving.dumps", counted)
        make_app(count).get("/")
        assert len(made) == 1


class TestRetries:
    def app(self, make_app: Any, kind: str, *, again: bool) -> TestApp:
        def view(request: Request) -> Response:
            first = request.environ["retry.attempt"] == 0
            if first or again:
                count(request)
            if first:
                raise RetryableException
            return done(request)

        app: TestApp = make_app(
            view, setup=add_reader, pyramid__includes="pyramid_retry", **FACTORIES[kind]
        )
        return app

    @both
    @pytest.mark.parametrize(("again", "stored"), [(True, {"n": 1}), (False, {})])
    def test_what_a_discarded_attempt_has_put_in_is_not_stored(
        self, make_app: Any, kind: str, again: bool, stored: Any
    ) -> None:
        app = self.app(make_app, kind, again=again)
        app.get("/")
        assert app.get("/read").json == stored

    def test_a_retry_outside_of_a_policy_is_nothing_to_us(self) -> None:
        discard(BeforeRetry(Request.blank("/"), RetryableException()))


class TestSeveralApps:
    def test_an_app_inside_another_has_sessions_of_its_own(self, make_app: Any) -> None:
        inner = make_app(count, setup=add_reader, **FACTORIES["cookie"])

        def setup(config: Configurator) -> None:
            add_reader(config)
            config.add_route("inner", "/inner*subpath")
            config.add_view(wsgiapp2(inner.app), route_name="inner")

            def view(request: Request) -> Response:
                response = wsgiapp2(inner.app)(None, request)
                count(request)
                return response

            config.add_route("both", "/both*subpath")
            config.add_view(view, route_name="both")

        outer = make_app(count, setup=setup, session__cookie_name="outer")
        outer.get("/")
        for number in (1, 2):
            assert outer.get("/inner").text == str(number)
        assert outer.get("/both").text == "3"
        assert outer.get("/read").json == {"n": 2}
        assert outer.get("/inner/read").json == {"n": 3}

    def test_an_app_inside_another_may_have_the_factory_alone(self, make_app: Any) -> None:
        inner = make_app(count, include=False, **FACTORIES["cookie"])

        def setup(config: Configurator) -> None:
            config.add_route("inner", "/inner")
            config.add_view(wsgiapp2(inner.app), route_name="inner")

        outer = make_app(count, setup=setup, session__cookie_name="outer")
        assert [outer.get("/inner").text for _ in range(3)] == ["1", "2", "3"]

    @pytest.mark.parametrize("include", [True, False], ids=["included", "alone"])
    def test_a_body_of_an_app_inside_another_may_use_its_session(
        self, make_app: Any, include: bool
    ) -> None:
        def chunks(request: Request) -> Iterator[bytes]:
            yield b"one"
            count(request)
            yield b"two"

        def view(request: Request) -> Response:
            return Response(app_iter=chunks(request)) if "n" in request.session else count(request)

        def add(config: Configurator, view: Any) -> None:
            config.add_route("inner", "/inner")
            config.add_view(view, route_name="inner")

        inner = make_app(done, include=include, setup=lambda config: add(config, view))
        outer = make_app(
            done,
            setup=lambda config: add(config, wsgiapp(inner.app)),
            session__cookie_name="outer",
        )
        assert [outer.get("/inner").text for _ in range(3)] == ["1", "onetwo", "onetwo"]
        assert rows(inner) == ['{"n":3}']

    def test_nothing_is_left_in_the_environment(self, make_app: Any) -> None:
        app = make_app(count).app
        for path in ("/", "/nowhere"):
            environ = Request.blank(path).environ
            app(environ, lambda status, headers, exc_info=None: None)
            assert OPENED_KEY not in environ


SUB = "/sub"


def add_subrequests(share: bool, tweens: bool, use: places.Use = count) -> Any:
    """Have the view make a subrequest that uses the session, and drop its response."""

    def sub(request: Request) -> Response:
        use(request)
        return done(request)

    def setup(config: Configurator) -> None:
        add_reader(config)
        config.add_route("sub", SUB)
        config.add_view(sub, route_name="sub")

    def view(request: Request) -> Response:
        made = Request.blank(SUB)
        if share:
            made.session = request.session
        elif "Cookie" in request.headers:
            made.headers["Cookie"] = request.headers["Cookie"]
        request.invoke_subrequest(made, use_tweens=tweens)
        return done(request)

    return view, setup


@pytest.mark.parametrize("tweens", [True, False], ids=["tweens", "no tweens"])
@pytest.mark.parametrize("share", [True, False], ids=["shared", "own"])
class TestSubrequests:
    @both
    @pytest.mark.parametrize("first", ["request", "subrequest"])
    def test_what_is_put_in_is_stored_on_a_first_visit_and_later(
        self, make_app: Any, kind: str, share: bool, tweens: bool, first: str
    ) -> None:
        view, setup = add_subrequests(share, tweens)

        def both_use_it(request: Request) -> Response:
            if first == "request":
                count(request)
            response = view(request)
            if first == "subrequest":
                count(request)
            return response

        app = make_app(both_use_it, setup=setup, **FACTORIES[kind])
        for number in (2, 4, 6):
            sent = app.get("/").headers.getall("Set-Cookie")
            assert len(sent) == (number == 2 or kind == "cookie")
            assert app.get("/read").json == {"n": number}

    @both
    def test_the_request_need_not_use_the_session_itself(
        self, make_app: Any, kind: str, share: bool, tweens: bool
    ) -> None:
        view, setup = add_subrequests(share, tweens)
        app = make_app(view, setup=setup, **FACTORIES[kind])
        for number in (1, 2, 3):
            assert app.get("/").headers["Cache-Control"] == "private, no-store"
            assert app.get("/read").json == {"n": number}

    @pytest.mark.parametrize("include", [True, False], ids=["included", "alone"])
    def test_a_session_that_cannot_be_saved_is_the_503_page(
        self, make_app: Any, share: bool, tweens: bool, include: bool
    ) -> None:
        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        _, setup = add_subrequests(share, tweens, use)

        def pass_on(request: Request) -> Response:
            made = Request.blank(SUB, headers={"Cookie": "another=1"})
            if share:
                made.session = request.session
            return request.invoke_subrequest(made, use_tweens=tweens)

        app = make_app(pass_on, setup=setup, include=include)
        response = app.get("/", status=503)
        assert "Retry-After" in response.headers
        assert "Set-Cookie" not in response.headers


class TestASubrequestWithOtherCookies:
    """It is another visitor's, for all that we know."""

    @pytest.mark.parametrize("tweens", [True, False])
    def test_one_that_cannot_be_saved_is_the_503_page(self, make_app: Any, tweens: bool) -> None:
        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        def view(request: Request) -> Response:
            made = Request.blank(SUB, headers={"Cookie": "sessionsite=another"})
            request.invoke_subrequest(made, use_tweens=tweens)
            return done(request)

        _, setup = add_subrequests(share=False, tweens=tweens, use=use)
        response = make_app(view, setup=setup).get("/", status=503)
        assert "Retry-After" in response.headers
        assert "Set-Cookie" not in response.headers

    def app(self, make_app: Any, kind: str, *, pass_on: bool, more: Any = None) -> TestApp:
        def view(request: Request) -> Response:
            made = Request.blank(SUB)
            response = request.invoke_subrequest(made)
            if more:
                more(made)
            count(request)
            return response if pass_on else done(request)

        _, setup = add_subrequests(share=False, tweens=False)

        def begin(config: Configurator) -> None:
            setup(config)
            config.add_route("begin", "/begin")
            config.add_view(count, route_name="begin")

        app = make_app(view, setup=begin, **FACTORIES[kind])
        app.get("/begin")
        return app

    @both
    def test_it_has_a_session_of_its_own_and_what_is_lost_is_logged(
        self, make_app: Any, kind: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = self.app(make_app, kind, pass_on=False)
        app.get("/?secret=x")
        assert app.get("/read").json == {"n": 2}
        (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
        assert "Subrequest GET /sub" in line
        assert "the response to GET /," in line
        if kind == "server":
            assert sorted(rows(app)) == ['{"n":1}', '{"n":2}']

    def test_a_response_that_is_passed_on_has_its_cookie(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = self.app(make_app, "server", pass_on=True)
        assert "Set-Cookie" in app.get("/").headers
        assert [r for r in caplog.records if r.levelno == logging.ERROR] == []

    def test_what_is_put_in_after_the_subrequest_is_stored(self, make_app: Any) -> None:
        app = self.app(make_app, "server", pass_on=True, more=count)
        app.get("/")
        assert app.get("/read").json == {"n": 2}

    def test_or_refused_where_that_needs_a_cookie(self, make_app: Any) -> None:
        def begin_another(request: Request) -> None:
            request.session.invalidate()
            count(request)

        app = self.app(make_app, "server", pass_on=True, more=begin_another)
        with pytest.raises(HeadersSentError):
            app.get("/")


POLICIES = [
    places.before_the_policy, places.after_the_policy, places.around_a_copy, places.plain_wsgi,
]  # fmt: skip


def use_messages(request: Request) -> Response:
    return Response(str(request.session.pop_flash()), status=500)


def wrap_messages(request: Request) -> Response:
    try:
        return use_messages(request)
    except StoreError as exc:
        raise RuntimeError("no messages") from exc


def stream_messages(request: Request) -> Response:
    return Response(
        app_iter=(str(request.session.pop_flash()).encode() for _ in range(2)), status=500
    )


class TestAStoreThatIsAway:
    def away(self) -> dict[str, str]:
        return {"session__sqlalchemy__url": f"postgresql://u@127.0.0.1:{free_port()}/d"}

    def assert_unavailable(self, response: Any) -> None:
        assert response.status_int == 503
        assert response.headers["Retry-After"].isdigit()
        assert "no-store" in response.headers["Cache-Control"]
        assert "Set-Cookie" not in response.headers
        assert "store" in response.text

    @everywhere
    def test_it_is_the_503_page_wherever_the_session_is_loaded(
        self, make_app: Any, place: places.Place
    ) -> None:
        changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(done, setup=at(place, count), **changes)
        app.set_cookie("sessionsite", signed(app))
        self.assert_unavailable(app.get("/", status=503))

    @everywhere
    def test_it_is_the_503_page_wherever_the_session_is_changed(
        self, make_app: Any, place: places.Place
    ) -> None:
        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        self.assert_unavailable(make_app(done, setup=at(place, use)).get("/", status=503))

    @pytest.mark.parametrize("place", places.CALLBACKS[:-1], ids=lambda place: place.__name__)
    def test_a_save_is_the_503_page_with_the_factory_alone(
        self, make_app: Any, place: places.Place
    ) -> None:
        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        app = make_app(done, include=False, setup=at(place, use))
        self.assert_unavailable(app.get("/", status=503))

    @everywhere
    def test_it_is_with_tweens_of_the_apps_own_choice(
        self, make_app: Any, place: places.Place
    ) -> None:
        if place is places.outer_tween:
            return  # its tween is implicit

        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        for tweens in (
            EXCVIEW,
            f"{EXCVIEW} {SAVE_TWEEN}",
            f"pyramid_tm.tm_tween_factory {EXCVIEW}",
        ):
            app = make_app(
                done,
                setup=at(place, use),
                pyramid__tweens=tweens,
                pyramid__includes="pyramid_tm" if "tm_tween" in tweens else None,
            )
            self.assert_unavailable(app.get("/", status=503))

    @everywhere
    @pytest.mark.parametrize(
        "includes", ["pyramid_retry", "pyramid_tm", "pyramid_tm pyramid_retry"]
    )
    def test_it_is_with_transactions_and_retries(
        self, make_app: Any, place: places.Place, includes: str
    ) -> None:
        if "retry" in includes and place in POLICIES:
            return  # there is one execution policy

        def use(request: Request) -> None:
            count(request)
            drop_the_table(request)

        app = make_app(done, setup=at(place, use), pyramid__includes=includes)
        self.assert_unavailable(app.get("/", status=503))

    @pytest.mark.parametrize("page", [use_messages, wrap_messages, stream_messages])
    @pytest.mark.parametrize("tweens", [None, EXCVIEW])
    @pytest.mark.parametrize("fail", [ZeroDivisionError, None], ids=["error", "no error"])
    def test_it_is_when_the_error_page_asks_for_the_session(
        self, make_app: Any, caplog: pytest.LogCaptureFixture, page: Any, tweens: Any, fail: Any
    ) -> None:
        def view(request: Request) -> Response:
            if fail:
                raise fail
            return count(request)

        changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(view, on_error=page, pyramid__tweens=tweens, **changes)
        app.set_cookie("sessionsite", signed(app))
        self.assert_unavailable(app.get("/", status=503))
        if fail and page is not stream_messages:  # which fails after the error is dealt with
            assert "ZeroDivisionError" in caplog.text

    def test_it_is_in_an_app_that_has_the_factory_alone(self, make_app: Any) -> None:
        changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(count, include=False, **changes)
        app.set_cookie("sessionsite", signed(app))
        response = app.get("/", status=503)
        self.assert_unavailable(response)
        assert "127.0.0.1" not in response.text

    def test_an_app_that_has_the_factory_alone_can_have_its_own_page(self, make_app: Any) -> None:
        def page(request: Request) -> Response:
            return Response(f"our own: {request.exception}", status=503)

        def setup(config: Configurator) -> None:
            config.add_exception_view(page, context=StoreError)

        changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(count, include=False, setup=setup, **changes)
        app.set_cookie("sessionsite", signed(app))
        assert app.get("/", status=503).text.startswith("our own: connection failed")

    def test_the_page_has_what_the_app_puts_on_every_response(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            count(request)
            request.add_finished_callback(drop_the_table)
            return done(request)

        def setup(config: Configurator) -> None:
            def add_header(event: NewResponse) -> None:
                event.response.headers["X-Frame-Options"] = "DENY"

            config.add_subscriber(add_header, NewResponse)

        response = make_app(view, setup=setup).get("/", status=503)
        assert response.headers["X-Frame-Options"] == "DENY"

    def test_it_is_though_a_subscriber_fails(
        self, make_app: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def setup(config: Configurator) -> None:
            def fail(event: NewResponse) -> None:
                event.request.session.save()
                if event.response.status_int == 503:
                    raise ZeroDivisionError

            config.add_subscriber(fail, NewResponse)

        def view(request: Request) -> Response:
            count(request)
            drop_the_table(request)
            return done(request)

        self.assert_unavailable(make_app(view, setup=setup).get("/", status=503))
        assert "ZeroDivisionError" in caplog.text

    def test_it_is_where_the_app_asks_the_store_without_a_request(self, make_app: Any) -> None:
        def setup(config: Configurator) -> None:
            def policy(environ: dict[str, Any], router: Any) -> Any:
                raise StoreError("away")

            config.set_execution_policy(policy)

        self.assert_unavailable(make_app(done, setup=setup).get("/", status=503))

    def test_the_tween_leaves_other_errors_alone(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            make_app(view).get("/")

    def test_a_page_for_another_error_may_fail(self, make_app: Any) -> None:
        def view(request: Request) -> Response:
            request.session["bad"] = {1, 2}
            return done(request)

        def page(request: Request) -> Response:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            make_app(view, on_error=page).get("/")

    @pytest.mark.parametrize("fail", ["load", "save"])
    @pytest.mark.parametrize(
        ("own", "sent"), [(500, "503"), (503, "503"), (200, "200"), (404, "404")]
    )
    def test_the_apps_page_for_every_error_says_so(
        self, make_app: Any, fail: str, own: int, sent: str
    ) -> None:
        def view(request: Request) -> Response:
            count(request)
            drop_the_table(request)
            return done(request)

        def page(request: Request) -> Response:
            return Response("our own", status=own)

        changes: dict[str, str] = {}
        if fail == "load":
            changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(view, on_error=page, **changes)
        if fail == "load":
            app.set_cookie("sessionsite", signed(app))
        response = app.get("/", expect_errors=True)
        assert response.status[:3] == sent
        assert response.text == "our own"
        assert ("Retry-After" in response.headers) is (sent == "503")

    def test_the_app_says_when_to_come_back(self, make_app: Any) -> None:
        def page(request: Request) -> Response:
            return Response(status=503, retry_after=77)

        changes = self.away() | {"session__sql__create_table": "false"}
        app = make_app(count, on_error=page, **changes)
        app.set_cookie("sessionsite", signed(app))
        assert app.get("/", status=503).headers["Retry-After"] == "77"


def test_a_request_of_a_test_may_be_anything(make_app: Any) -> None:
    app = make_app(count).app
    factory = app.registry.getUtility(ISessionFactory)
    with testing.testConfig(request=object()):
        assert factory(testing.DummyRequest()).new
        assert TestApp(app).get("/").text == "1"
