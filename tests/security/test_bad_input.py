"""What clients send by mistake or on purpose, straight to each site's WSGI app."""

from typing import Any
from urllib.parse import unquote

import pytest

from tests.harness.sites import Site, history
from tests.security.wsgi import send

HOSTS = [
    None, "", " ", "a b", "local host", "localhost\n", "localhost\r\nX: y", "<script>", "a/b",
    "a@b", "localhost:port", "localhost:", "localhost:65536",
    "[::1", "h\xe9te", "a" * 200_000 + "!", "\x00", "a?b",
]  # fmt: skip


class TestHost:
    @pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host)[:20])
    def test_one_that_is_malformed_is_refused_and_leaves_no_trace(
        self, site: Site, host: str | None
    ) -> None:
        status, headers, text = send(site, HTTP_HOST=host)
        assert (status, "Set-Cookie" in headers) == (400, False)
        assert "<h1>Sessions - Bad request</h1>" in text
        assert "Traceback" not in text

    @pytest.mark.parametrize("host", ["localhost:8000", "[::1]:80", "LocalHost.:1"])
    def test_one_that_is_well_formed_and_listed_is_served(self, site: Site, host: str) -> None:
        assert send(site, HTTP_HOST=host)[0] == 200

    def test_a_health_check_may_name_none(self, site: Site) -> None:
        assert send(site, path="/healthz", HTTP_HOST=None)[0] == 200


QUERIES = [
    "a=\"'><script>alert(1)</script>", "javascript:alert(1)", "\xff\xfe", "%ff%fe", "%", "%zz",
    "a=%00", "&&&===", "\x00", "{{7*7}}", "a=%F0%9F%98%80", "\u00c3\u00a9",
]  # fmt: skip


class TestQueryString:
    @pytest.mark.parametrize("query", QUERIES, ids=ascii)
    def test_whatever_it_holds_is_shown_as_text_and_kept(self, site: Site, query: str) -> None:
        status, _, text = send(site, path="/about", QUERY_STRING=query)
        assert status == 200
        assert "<script>alert" not in text
        visitor = site.visitor()
        visitor.get("/")
        ((name, value),) = visitor.cookies.items()
        _, headers, _ = send(site, path="/about", QUERY_STRING=query, HTTP_COOKIE=f"{name}={value}")
        if "Set-Cookie" in headers:
            visitor.set_cookie(*headers["Set-Cookie"].split(";")[0].split("=", 1))
        _, visit, _ = history(visitor.get("/"))
        assert visit.startswith(f"{site.url}/about?")
        assert visit.isascii()
        assert visit.isprintable()
        assert unquote(visit, "latin-1").endswith(unquote(query, "latin-1"))

    def test_one_of_60_kilobytes_is_answered(self, site: Site) -> None:
        assert send(site, QUERY_STRING="x" * 60_000)[0] == 200


class TestPath:
    @pytest.mark.parametrize("path", ["/\xff", "/\xc3", "/about\xe9", "\xff"], ids=ascii)
    def test_one_that_is_no_utf8_is_a_400(self, site: Site, path: str) -> None:
        status, headers, text = send(site, path=path)
        assert (status, "Set-Cookie" in headers) == (400, False)
        assert "<h1>Sessions - Bad request</h1>" in text

    @pytest.mark.parametrize(
        "path", ["/" + "x" * 60_000, "/../../etc/passwd", "/static/../../x", "//", "/\x00", "/é"]
    )
    def test_one_that_is_unknown_is_a_404(self, site: Site, path: str) -> None:
        status, headers, text = send(site, path=path.encode().decode("latin-1"))
        assert (status, "Set-Cookie" in headers) == (404, False)
        assert "<h1>Sessions - Not found</h1>" in text


BODIES = [
    (b"", ""),
    (b"csrf_token=\xff", "application/x-www-form-urlencoded"),
    (b"csrf_token=%ff%fe", "application/x-www-form-urlencoded"),
    (b"\x00\xff" * 1000, "application/x-www-form-urlencoded"),
    (b"&" * 5000, "application/x-www-form-urlencoded"),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    (b"--x", "multipart/form-data"),
    (b"csrf_token=a", "application/x-www-form-urlencoded; charset=nonsense"),
    (b"{}", "application/json"),
]


class TestBody:
    @pytest.mark.parametrize(("body", "content_type"), BODIES)
    def test_garbage_posted_to_forget_is_a_400(
        self, site: Site, body: bytes, content_type: str
    ) -> None:
        status, headers, text = send(site, "POST", "/forget", body=body, CONTENT_TYPE=content_type)
        assert (status, "Set-Cookie" in headers) == (400, False)
        assert "Traceback" not in text

    @pytest.mark.parametrize(("body", "content_type"), BODIES)
    def test_garbage_from_a_visitor_is_a_400_and_ends_nothing(
        self, site: Site, body: bytes, content_type: str
    ) -> None:
        visitor = site.visitor()
        visitor.get("/about")
        visitor.post("/forget", body, content_type=content_type, status=400)
        assert len(history(visitor.get("/"))) == 2


COOKIES = [
    "", "=", ";", "\x00", "\xff\xfe", "{name}", "{name}=", '{name}="', "{name}=\xff", "{name}=a b",
    "{name}=" + "a" * 100_000, "{name}=eyJ9", "x={name}", "{name}=a; {name}=b", "{name}={{}}",
    "a=b; " * 20_000, "$Version=1; {name}=x; $Path=/", 'x="\\377"', '{name}="\\377"',
    "\xa0{name}=x", "{name}\x85=x", "path=/; {name}=x", "x=[{name}=y", "$x=y",
]  # fmt: skip


class TestCookie:
    @pytest.mark.parametrize("cookie", COOKIES, ids=lambda cookie: ascii(cookie)[:30])
    def test_one_that_opens_nothing_is_a_new_session(self, site: Site, cookie: str) -> None:
        name = "sessionsite" if site.name == "development" else "__Host-sessionsite"
        status, headers, text = send(site, HTTP_COOKIE=cookie.format(name=name))
        assert status == 200
        assert headers["Set-Cookie"].startswith(f"{name}=")
        assert text.count('<a href="http') == 1

    def test_two_of_the_name_touch_neither_session(self, make_site: Any) -> None:
        site = make_site("sqlite")
        ann, bob = site.visitor(), site.visitor()
        for visitor in (ann, bob):
            visitor.get("/about")
        name = "__Host-sessionsite"
        both = f"{name}={ann.cookies[name]}; {name}={bob.cookies[name]}"
        status, headers, text = send(site, HTTP_COOKIE=both)
        assert (status, text.count('<a href="http')) == (200, 1)
        assert "Set-Cookie" in headers
        for visitor in (ann, bob):
            assert len(history(visitor.get("/"))) == 2


@pytest.mark.parametrize(
    "shared_site", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)], indirect=True
)
@pytest.mark.parametrize(
    ("version", "length"), [(2**31 - 1, 1), (2**31 - 2, 2), (0, 2), (-(2**31), 2)]
)
def test_cs_input_a_version_edited_by_hand_is_counted_or_a_new_session(
    site: Site, version: int, length: int
) -> None:
    """PostgreSQL's integer ends at 2,147,483,647."""
    visitor = site.visitor()
    visitor.get("/")
    with site.factory.store.engine.connect() as connection:  # in AUTOCOMMIT mode
        connection.exec_driver_sql(f"UPDATE sessions SET version = {version}")
    assert len(history(visitor.get("/"))) == length
    visitor.get("/").forms[0].submit(status=303)
