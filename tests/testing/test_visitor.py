"""`sessionsite.testing.session`: what a test of an app puts into its visitor's session."""

import functools
from collections.abc import Iterable
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.path import DottedNameResolver
from pyramid.request import Request
from webtest import TestApp

from sessionsite.testing import session
from tests.testing.kit import (
    FACTORIES,
    HTTPS,
    Wrap,
    cookie,
    make_app,
    ours,
    pyramids,
)


class Middleware:
    def __init__(self, app: Any) -> None:
        self.application = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body: Iterable[bytes] = self.application(environ, start_response)
        return body


class Slotted(Middleware):
    __slots__ = ("application",)


def closure(app: Any) -> Any:
    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        return app(environ, start_response)

    return wrapped


def decorated(app: Any) -> Any:
    @functools.wraps(app.__call__)
    def wrapped(*args: Any) -> Any:
        return wrapped.app(*args)  # type: ignore[attr-defined]

    wrapped.app = app  # type: ignore[attr-defined]
    return wrapped


def partial(app: Any) -> Any:
    return functools.partial(lambda inner, *args: inner(*args), app)


def method(app: Any) -> Any:
    return Middleware(app).__call__


def mounted(app: Any) -> Any:
    mounts = {"/": app, "/static": closure(None)}
    return lambda environ, start_response: mounts["/"](environ, start_response)


@pytest.mark.parametrize("factory", FACTORIES)
class TestOfAnyFactory:
    def test_what_is_put_in_is_there_at_the_next_request(self, factory: Any) -> None:
        visitor = make_app(factory())
        with session(visitor) as data:
            assert data.new
            data["n"] = 41
        assert visitor.get("/").text == "42"
        with session(visitor) as data:
            assert dict(data) == {"n": 42}

    def test_what_is_only_read_sets_no_cookie(self, factory: Any) -> None:
        visitor = make_app(factory())
        with session(visitor) as data:
            assert "n" not in data
        assert list(visitor.cookiejar) == []

    def test_invalidate_takes_the_cookie_away(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("/")
        assert len(visitor.cookies) == 1
        with session(visitor) as data:
            data.invalidate()
        if factory is not pyramids:  # which keeps the cookie of an empty session
            assert list(visitor.cookiejar) == []
        assert visitor.get("/").text == "1"

    def test_a_session_begun_after_it_has_a_cookie(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("/")
        before = dict(visitor.cookies)
        with session(visitor) as data:
            data.invalidate()
            data["n"] = 6
        assert len(visitor.cookies) == 1
        assert visitor.cookies != before
        assert visitor.get("/").text == "7"

    def test_an_error_in_it_changes_nothing(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("/")

        def fail() -> None:
            with session(visitor) as data:
                data["n"] = 5
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert visitor.get("/").text == "2"

    @pytest.mark.parametrize("environ", [HTTPS, {"HTTP_HOST": "www.example.org"}, {}])
    @pytest.mark.parametrize("name", ["__Host-s", "__Secure-s", "s"])
    def test_a_secure_cookie_is_one_too(
        self, factory: Any, name: str, environ: dict[str, str]
    ) -> None:
        visitor = make_app(factory(cookie_name=name, secure="true"), **environ)
        with session(visitor) as data:
            data["n"] = 1
        assert list(visitor.cookies) == [name]
        assert visitor.get("/?look=1").text == "1"
        with session(visitor) as data:
            assert data["n"] == 1
            data.invalidate()
            data["n"] = 3
        assert visitor.get("/?look=1").text == "3"
        assert len(list(visitor.cookiejar)) == 1
        with session(visitor) as data:
            data.invalidate()
        assert visitor.get("/?look=1").text == "None"

    @pytest.mark.parametrize(
        "wraps",
        [
            [Middleware],
            [Slotted],
            [closure],
            [decorated],
            [partial],
            [method],
            [mounted],
            [Middleware, closure, Slotted, decorated, mounted, partial, method],
        ],
        ids=lambda wraps: "-".join(wrap.__name__ for wrap in wraps),
    )
    def test_the_app_is_found_through_middleware(self, factory: Any, wraps: list[Wrap]) -> None:
        visitor = make_app(factory(), *wraps)
        with session(visitor) as data:
            data["n"] = 41
        assert visitor.get("/").text == "42"


OTHERS = {
    "pyramid_nacl_session": {"session.secret": "37" * 32},
    "pyramid_beaker": {"session.type": "memory", "session.auto": "true"},
}


# pyramid_nacl_session imports a class of Pyramid's that Pyramid deprecates.
@pytest.mark.filterwarnings("ignore:PickleSerializer. pyramid.session:DeprecationWarning")
@pytest.mark.parametrize("package", OTHERS)
def test_another_packages_factory_works_through_middleware(package: str) -> None:
    theirs = DottedNameResolver().resolve(f"{package}.session_factory_from_settings")
    visitor = make_app(theirs(OTHERS[package]), Middleware)
    with session(visitor) as data:
        data["n"] = 41
    assert visitor.get("/").text == "42"
    with session(visitor) as data:
        assert data["n"] == 42
        data.invalidate()
    assert visitor.get("/?look=1").text == "None"
    with session(visitor) as data:
        data["n"] = 6
    assert visitor.get("/").text == "7"


@pytest.mark.parametrize("factory", [ours, cookie])
class TestPlaces:
    def test_of_a_path(self, factory: Any) -> None:
        visitor = make_app(factory(path="/app"))
        with session(visitor) as data:
            data["n"] = 1
        with session(visitor) as data:
            assert data["n"] == 1
            data.invalidate()
        assert list(visitor.cookiejar) == []

    def test_of_a_domain(self, factory: Any) -> None:
        visitor = make_app(factory(domain="example.org"), **HTTPS)
        with session(visitor) as data:
            data["n"] = 1
        assert [cookie.domain for cookie in visitor.cookiejar] == [".example.org"]
        assert visitor.get("/").text == "2"
        with session(visitor) as data:
            data.invalidate()
        assert list(visitor.cookiejar) == []

    def test_another_hosts_cookie_is_another_visitor(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("http://other.example/")
        with session(visitor) as data:
            assert data.new
            data["n"] = 5
            data.invalidate()
        assert [cookie.domain for cookie in visitor.cookiejar] == ["other.example"]

    def test_a_cookie_that_the_test_itself_has_set_goes_too(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("/")
        ((name, value),) = visitor.cookies.items()
        visitor.reset()
        visitor.set_cookie(name, value)
        with session(visitor) as data:
            assert data["n"] == 1
            data.invalidate()
        assert list(visitor.cookiejar) == []

    def test_an_expired_cookie_is_not_sent(self, factory: Any) -> None:
        visitor = make_app(factory())
        visitor.get("/")
        for each in visitor.cookiejar:
            each.expires = 1
        with session(visitor) as data:
            assert data.new


def test_the_row_is_gone_after_invalidate() -> None:
    factory = ours()
    visitor = make_app(factory)
    visitor.get("/")
    with session(visitor) as data:
        id_ = data.id
        data.invalidate()
    assert factory.store.delete(id_) is False


def test_the_factory_sees_the_apps_request() -> None:
    """Its class, its methods, what the test's requests have in their environ."""

    class TheirRequest(Request):  # type: ignore[misc]
        pass

    seen: list[Any] = []

    def factory(request: Any) -> Any:
        request.add_finished_callback(lambda request: seen.append("finished"))
        assert isinstance(request, TheirRequest)
        seen.append((request.greeting, request.remote_addr, request.host))
        return {}

    with Configurator(settings={}, request_factory=TheirRequest) as config:
        config.set_session_factory(factory)
        config.add_request_method(lambda request: "hello", "greeting", reify=True)
    visitor = TestApp(config.make_wsgi_app(), extra_environ={"REMOTE_ADDR": "192.0.2.1"})
    with session(visitor):
        pass
    assert seen == [("hello", "192.0.2.1", "localhost:80"), "finished"]


class TestWhichApp:
    def test_the_registry_can_be_passed(self) -> None:
        visitor = make_app(ours())
        registry, visitor.app = visitor.app.registry, closure(None)
        with session(visitor, registry) as data:
            data["n"] = 1
        with session(visitor, registry=registry) as data:
            assert data["n"] == 1

    def test_without_a_pyramid_app_it_says_what_to_do(self) -> None:
        with pytest.raises(LookupError, match="pass its registry"), session(TestApp(closure(None))):
            pass

    def test_with_several_it_says_what_to_do(self) -> None:
        apps = {"/a": make_app(ours()).app, "/b": make_app(ours()).app}
        visitor = TestApp(lambda *args: apps["/a"](*args))
        with pytest.raises(LookupError, match="pass the registry of yours"), session(visitor):
            pass

    def test_an_app_around_others_is_its_own(self) -> None:
        inner = make_app(ours())
        outer = make_app(ours())
        outer.app.mounts = {"/inner": inner.app}
        with session(outer) as data:
            data["n"] = 1
        assert outer.get("/").text == "2"
