"""What a response that used a session tells caches, beside what its view has said."""

from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

from sessionsite.sessions.ini import ConfigurationError
from tests.sessions.apps import FACTORIES, count

NO_STORE = "private, no-store"
KEPT = [
    "private, max-age=60",
    "max-age=60, private",
    "Private,Max-Age=60",
    "private, max-age=0, must-revalidate",
    "private, no-cache",
    "no-cache, private",
    "private, max-age=60, stale-while-revalidate=30, immutable",
    "no-store",
    "max-age=0, must-revalidate, no-cache, no-store",
    'private, max-age=60, ext="public, s-maxage=1"',
]
REPLACED = [
    "public",
    "public, max-age=60",
    "max-age=60",
    "s-maxage=60",
    "max-age=60, s-maxage=600",
    "private",
    "private, must-revalidate",
    "private, s-maxage=60",
    "private, max-age=soon",
    "private, max-age",
    "private, max-age=-1",
    "private, max-age=60, public",
    "no-cache",
    'private="Set-Cookie", max-age=60',
    'no-cache="Set-Cookie, private", max-age=60',
    'no-store="x"',
    "private; max-age=60",
    "private max-age=60",
    "private, max-age=60 \x80",
    "",
    ",",
]


def says(cache_control: str | list[str], **headers: str) -> Any:
    lines = [cache_control] if isinstance(cache_control, str) else cache_control

    def view(request: Request) -> Response:
        request.session.get("n")
        response = Response(headers=headers)
        response.headerlist += [("cache-control", line) for line in lines]
        return response

    return view


@pytest.fixture(params=["server", "cookie"])
def make(request: pytest.FixtureRequest, make_app: Any) -> Any:
    def make(view: Any, **options: Any) -> Any:
        return make_app(view, **options, **FACTORIES[request.param])

    return make


class TestAViewsOwnWord:
    @pytest.mark.parametrize("said", KEPT)
    def test_it_is_kept_if_it_is_private_and_says_how_long(self, make: Any, said: str) -> None:
        headers = make(says(said)).get("/").headers
        assert headers.getall("Cache-Control") == [said]
        assert headers["Vary"] == "Cookie"

    @pytest.mark.parametrize("said", REPLACED)
    def test_it_is_replaced_otherwise(self, make: Any, said: str) -> None:
        headers = make(says(said)).get("/").headers
        assert headers.getall("Cache-Control") == [NO_STORE]
        assert headers["Vary"] == "Cookie"

    def test_of_several_lines_all_count(self, make: Any) -> None:
        kept = ["private", "max-age=60"]
        assert make(says(kept)).get("/").headers.getall("Cache-Control") == kept
        replaced = ["private, max-age=60", "public"]
        assert make(says(replaced)).get("/").headers.getall("Cache-Control") == [NO_STORE]

    def test_it_is_kept_where_the_session_is_changed(self, make: Any) -> None:
        def view(request: Request) -> Response:
            count(request)
            return Response(cache_control="private, max-age=60")

        headers = make(view).get("/").headers
        assert headers["Cache-Control"] == "private, max-age=60"
        assert "Set-Cookie" in headers

    @pytest.mark.parametrize(
        ("http_cache", "expected", "expires"),
        [
            (3600, NO_STORE, False),
            ((3600, {"public": True}), NO_STORE, False),
            ((3600, {"private": True}), "max-age=3600, private", True),
            ((None, {"private": True}), NO_STORE, False),
            (0, "max-age=0, must-revalidate, no-cache, no-store", True),
        ],
    )
    def test_pyramids_http_cache_goes_as_a_whole_or_stays_as_a_whole(
        self, make: Any, http_cache: Any, expected: str, expires: bool
    ) -> None:
        def setup(config: Configurator) -> None:
            config.add_route("cached", "/cached")
            config.add_view(count, route_name="cached", http_cache=http_cache)

        headers = make(count, setup=setup).get("/cached").headers
        assert headers["Cache-Control"] == expected
        assert ("Expires" in headers) is expires
        assert ("Pragma" in headers) is (http_cache == 0)

    def test_a_date_alone_says_nothing(self, make: Any) -> None:
        dates = {"Expires": "Thu, 01 Dec 2094 16:00:00 GMT", "Pragma": "public"}
        headers = make(says([], **dates)).get("/").headers
        assert headers["Cache-Control"] == NO_STORE
        assert not {"Expires", "Pragma"} & set(headers)

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("Accept", "Accept, Cookie"),
            ("accept, COOKIE", "accept, COOKIE"),
            ("*", "*"),
            ("X-Cookie", "X-Cookie, Cookie"),
        ],
    )
    def test_it_varies_by_the_cookie_always(self, make: Any, said: str, expected: str) -> None:
        for cache_control in ("private, max-age=60", "public"):
            headers = make(says(cache_control, Vary=said)).get("/").headers
            assert headers.getall("Vary") == [expected]

    def test_several_lines_of_vary_are_one(self, make: Any) -> None:
        def view(request: Request) -> Response:
            request.session.get("n")
            response = Response()
            response.headerlist += [("Vary", "Accept"), ("Vary", "Origin")]
            return response

        assert make(view).get("/").headers.getall("Vary") == ["Accept, Origin, Cookie"]


class TestTheSetting:
    @pytest.mark.parametrize("said", [*KEPT, *REPLACED])
    def test_keep_keeps_whatever_the_view_says(self, make: Any, said: str) -> None:
        headers = make(says(said), session__cache_control="keep").get("/").headers
        assert headers.getall("Cache-Control") == [said]
        assert headers["Vary"] == "Cookie"

    def test_keep_keeps_a_date(self, make: Any) -> None:
        view = says([], Expires="Thu, 01 Dec 2094 16:00:00 GMT")
        headers = make(view, session__cache_control="keep").get("/").headers
        assert "Expires" in headers
        assert "Cache-Control" not in headers

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ([], "private"),
            ("public, max-age=60", "private, max-age=60"),
            ("max-age=60, s-maxage=600, proxy-revalidate", "private, max-age=60"),
            ("s-maxage=60", "private"),
            ("no-cache", "private, no-cache"),
            ('private="Set-Cookie", max-age=60', "private, max-age=60"),
            ("private, max-age=60", "private, max-age=60"),
            ("private", "private"),
            ("no-store", "no-store"),
            ("private; max-age=60", NO_STORE),
        ],
    )
    def test_private_leaves_the_visitors_own_cache_to_the_view(
        self, make: Any, said: Any, expected: str
    ) -> None:
        headers = make(says(said), session__cache_control="private").get("/").headers
        assert headers.getall("Cache-Control") == [expected]
        assert headers["Vary"] == "Cookie"

    @pytest.mark.parametrize("mode", ["no-store", "keep"])
    def test_a_view_that_says_nothing_is_not_stored(self, make: Any, mode: str) -> None:
        headers = make(says([]), session__cache_control=mode).get("/").headers
        assert headers["Cache-Control"] == NO_STORE

    def test_any_other_value_is_refused(self, make: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"session\.cache_control = 'public': give"):
            make(count, session__cache_control="public")


class TestAnotherPackagesSession:
    @pytest.mark.parametrize(
        ("said", "expected"), [(said, said) for said in KEPT] + [(s, NO_STORE) for s in REPLACED]
    )
    def test_it_follows_the_same_rules(self, make_app: Any, said: str, expected: str) -> None:
        def setup(config: Configurator) -> None:
            config.set_session_factory(SignedCookieSessionFactory("secret"))

        changes = dict.fromkeys(FACTORIES["cookie"]) | {"session__secret": None}
        headers = make_app(says(said), setup=setup, **changes).get("/").headers
        assert headers.getall("Cache-Control") == [expected]
        assert headers["Vary"] == "Cookie"
