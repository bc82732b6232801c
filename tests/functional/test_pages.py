"""The pages, over each .ini file."""

import re
from typing import Any

import pytest
from webtest import TestApp

from sessionsite.sessions import StoreError
from sessionsite.testing import session
from tests.harness.sites import Site, history

PAGES = {"/": "Home", "/about": "About", "/contact": "Contact"}


@pytest.mark.parametrize(("path", "title"), PAGES.items())
def test_a_page_has_its_title_and_the_menu(site: Site, path: str, title: str) -> None:
    page = site.visitor().get(path, status=200)
    assert f"<title>Sessions - {title}</title>" in page.text
    assert f"<h1>Sessions - {title}</h1>" in page.text
    assert [h1.get_text() for h1 in page.html.find_all("h1")] == [f"Sessions - {title}"]
    links = {a["href"]: a for a in page.html.nav.find_all("a")}
    assert [links[p].get_text() for p in PAGES] == list(PAGES.values())
    current = [href for href, a in links.items() if a.get("aria-current") == "page"]
    assert current == [path]


def test_the_footer_lists_the_visits_newest_first(site: Site) -> None:
    visitor = site.visitor()
    for path in ("/", "/about?a=1&b=2", "/", "/", "/contact"):
        page = visitor.get(path)
    assert "<h2>History</h2>" in page.text
    assert history(page) == [
        f"{site.url}{path}" for path in ("/contact", "/", "/", "/about?a=1&b=2", "/")
    ]


def test_asvs_7_2_1_each_visitor_has_a_history_of_their_own(site: Site) -> None:
    ann, bob = site.visitor(), site.visitor()
    ann.get("/about")
    assert history(bob.get("/")) == [f"{site.url}/"]
    assert history(ann.get("/")) == [f"{site.url}/", f"{site.url}/about"]


def test_the_oldest_visits_go_first(make_site: Any) -> None:
    site = make_site("development", {"sessionsite.history_limit": "3"})
    visitor = site.visitor()
    for n in range(5):
        page = visitor.get(f"/?{n}")
    assert history(page) == [f"{site.url}/?{n}" for n in (4, 3, 2)]


def test_a_visit_to_a_port_of_its_own_names_the_port(site: Site) -> None:
    page = site.visitor().get("/", extra_environ={"HTTP_HOST": "localhost:8443"})
    assert history(page) == [f"{site.scheme}://localhost:8443/"]


NO_VISITS: list[tuple[str, str, dict[str, str]]] = [
    ("HEAD", "/", {}),
    ("GET", "/", {"Sec-Purpose": "prefetch"}),
    ("GET", "/", {"Sec-Purpose": "prefetch;prerender"}),
    ("GET", "/", {"Sec-Purpose": " Prefetch ; prerender"}),
    ("GET", "/", {"Sec-Fetch-Dest": "image"}),
    ("GET", "/about", {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-site"}),
    ("GET", "/", {"Sec-Fetch-Dest": "iframe"}),
    ("GET", "/", {"Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch;prerender"}),
    ("GET", "/", {"Sec-Fetch-Dest": ""}),
    ("GET", "/nothing", {}),
    ("GET", "/healthz", {}),
    ("GET", "/favicon.ico", {}),
    ("GET", "/static/site.css", {}),
    ("GET", "/static/nothing", {}),
    ("POST", "/", {}),
    ("POST", "/forget", {}),
    ("GET", "/forget", {}),
    ("GET", "/about/", {}),
    ("OPTIONS", "/", {}),
]


class TestWhatIsNoVisit:
    @pytest.mark.parametrize(("method", "path", "headers"), NO_VISITS)
    def test_it_starts_no_session(
        self, site: Site, method: str, path: str, headers: dict[str, str]
    ) -> None:
        visitor = site.visitor()
        response = visitor.request(path, method=method, headers=headers, status="*")
        assert "Set-Cookie" not in response.headers
        assert rows(site) == []

    @pytest.mark.parametrize(("method", "path", "headers"), NO_VISITS)
    def test_it_leaves_the_history_alone(
        self, site: Site, method: str, path: str, headers: dict[str, str]
    ) -> None:
        visitor = site.visitor()
        visitor.get("/about")
        before = rows(site)
        response = visitor.request(path, method=method, headers=headers, status="*")
        assert "Set-Cookie" not in response.headers
        assert rows(site) == before
        assert history(visitor.get("/")) == [f"{site.url}/", f"{site.url}/about"]

    def test_it_gets_no_form_and_no_token(self, site: Site) -> None:
        visitor = site.visitor()
        visitor.get("/")
        page = visitor.get("/", headers={"Sec-Purpose": "prefetch"})
        assert history(page) == [f"{site.url}/"]
        assert "csrf_token" not in page.text

    @pytest.mark.parametrize(
        "headers", [{"Sec-Purpose": "preview"}, {"Sec-Fetch-Dest": "document"}]
    )
    def test_other_purposes_are_visits(self, site: Site, headers: dict[str, str]) -> None:
        page = site.visitor().get("/", headers=headers)
        assert history(page) == [f"{site.url}/"]


def rows(site: Site) -> list[tuple[Any, ...]]:
    """What the table holds, apart from the times; nothing with the cookie factory."""
    if site.name == "development":
        return []
    with site.factory.store.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id, payload, version FROM sessions ORDER BY id")
        return [tuple(row) for row in found]


class TestForget:
    def test_asvs_7_4_1_it_ends_the_session_and_says_so(self, site: Site) -> None:
        visitor = site.visitor()
        visitor.get("/about")
        before = rows(site)
        page = visitor.get("/contact")
        answer = page.forms[0].submit(status=303)
        assert answer.location in ("/", f"{site.url}/")
        page = visitor.get("/")
        assert [message.get_text() for message in page.html.select(".message")] == [
            "Your session has ended, and its history is deleted."
        ]
        assert history(page) == [f"{site.url}/"]
        assert not {row[0] for row in before} & {row[0] for row in rows(site)}
        assert not visitor.get("/").html.select(".message")

    def test_the_new_session_holds_the_message_alone(self, site: Site) -> None:
        visitor = site.visitor()
        visitor.get("/").forms[0].submit()
        with session(visitor) as data:
            assert dict(data) == {"_f_": ["Your session has ended, and its history is deleted."]}

    def test_a_lost_answer_or_a_second_click_is_no_dead_end(self, site: Site) -> None:
        visitor = site.visitor()
        form = visitor.get("/about").forms[0]
        before = {"Cookie": "; ".join(f"{name}={v}" for name, v in visitor.cookies.items())}
        fields = {"csrf_token": form["csrf_token"].value}
        visitor.get("/")
        form.submit(status=303)
        again = site.visitor()
        page = again.post("/forget", fields, headers=before, status=303).follow()
        assert page.html.select_one(".message")
        assert history(page) == [f"{site.url}/"]

    def test_n_a_cookie_that_opens_nothing_lets_no_other_token_pass(self, site: Site) -> None:
        ann, bob = site.visitor(), site.visitor()
        form = ann.get("/").forms[0]
        before = {"Cookie": "; ".join(f"{name}={v}" for name, v in ann.cookies.items())}
        form.submit(status=303)
        others = bob.get("/").forms[0]["csrf_token"].value
        stored = rows(site)
        for token in ("", "wrong", others):
            answer = site.visitor().post(
                "/forget", {"csrf_token": token}, headers=before, status=400
            )
            assert "Set-Cookie" not in answer.headers
        assert rows(site) == stored

    def test_a_test_of_an_app_can_end_the_session_itself(self, make_site: Any) -> None:
        site = make_site("sqlite")
        visitor = site.visitor()
        visitor.get("/about")
        with session(visitor) as data:
            data.invalidate()
        assert rows(site) == []
        assert history(visitor.get("/")) == [f"{site.url}/"]

    @pytest.mark.parametrize("token", [None, "", "wrong", "é", "\udcff", "a" * 10_000])
    def test_n_without_the_token_it_changes_nothing(self, site: Site, token: str | None) -> None:
        visitor = site.visitor()
        visitor.get("/about")
        before = rows(site)
        body = b"" if token is None else b"csrf_token=" + token.encode("utf-8", "surrogateescape")
        page = visitor.post("/forget", body, status=400)
        assert page.html.h1.get_text() == "Sessions - Bad request"
        assert rows(site) == before
        assert history(visitor.get("/")) == [f"{site.url}/", f"{site.url}/about"]

    def test_n_the_token_of_another_session_is_no_token(self, site: Site) -> None:
        ann, bob = site.visitor(), site.visitor()
        token = ann.get("/").forms[0]["csrf_token"].value
        bob.get("/about")
        bob.post("/forget", {"csrf_token": token}, status=400)
        assert len(history(bob.get("/"))) == 2


class TestHeaders:
    def test_cs_cache_what_depended_on_a_session_is_kept_by_no_cache(self, site: Site) -> None:
        visitor = site.visitor()
        first = visitor.get("/")
        answers = [first, visitor.head("/"), first.forms[0].submit()]
        answers.append(visitor.post("/forget", status=400))
        for response in answers:
            assert response.headers["Cache-Control"] == "private, no-store"
            assert "Cookie" in response.headers["Vary"]

    def test_cs_cache_what_needs_no_session_can_be_cached(self, site: Site) -> None:
        visitor = site.visitor()
        for path in ("/static/site.css", "/favicon.ico"):
            response = visitor.get(path)
            assert "max-age" in response.headers["Cache-Control"]
            assert "Cookie" not in response.headers.get("Vary", "")

    @pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/static/site.css"])
    def test_headers_every_response_is_hardened(self, site: Site, path: str) -> None:
        headers = site.visitor().get(path, status="*").headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        hsts = "Strict-Transport-Security" in headers
        assert hsts is (site.name != "development")

    def test_headers_hsts_is_told_over_https_alone(self, make_site: Any) -> None:
        visitor = make_site("sqlite").visitor()
        response = visitor.get("/about", extra_environ={"wsgi.url_scheme": "http"})
        assert "Strict-Transport-Security" not in response.headers


def test_asvs_3_3_1_the_production_cookie_is_hardened(make_site: Any) -> None:
    (header,) = make_site("sqlite").visitor().get("/").headers.getall("Set-Cookie")
    pair, *attributes = header.split("; ")
    assert re.fullmatch(r"__Host-sessionsite=[\w-]{158}", pair)
    expires = [attribute for attribute in attributes if attribute.startswith("expires=")]
    assert sorted(set(attributes) - set(expires)) == [
        "HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "secure",
    ]  # fmt: skip


def test_the_secret_is_in_the_cookie_and_nowhere_else(make_site: Any) -> None:
    site = make_site("sqlite")
    visitor = site.visitor()
    visitor.get("/")
    value = visitor.cookies["__Host-sessionsite"]
    page = visitor.get("/contact")
    assert value not in page.text
    assert all(value not in header for header in page.headers.values())


def test_health_is_asked_without_a_session(site: Site) -> None:
    visitor = site.visitor()
    response = visitor.get("/healthz", status=200)
    assert response.json["status"] == "ok"
    assert visitor.cookies == {}


@pytest.mark.parametrize("query", ["", "?deep=0"])
def test_health_names_the_cause_to_those_who_ask_the_process_itself(
    make_site: Any, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    site = make_site("sqlite")

    def fail(id: str, now: Any) -> None:
        raise StoreError("no answer")

    monkeypatch.setattr(site.factory.store, "load", fail)
    for host in ("localhost", "127.0.0.1:6543", "[::1]:6543", ""):
        answer = site.visitor().get(f"/healthz{query}", headers={"Host": host}, status=503)
        assert answer.json["cause"] == "no answer"
    through_a_proxy = [
        {"Host": "sessions.example.org"},
        {"Host": "10.1.2.3.example.org"},
        {"Host": "no host"},
        {"Host": "127.0.0.1", "X-Forwarded-For": "203.0.113.9"},
        {"Host": "127.0.0.1", "Forwarded": "for=203.0.113.9"},
    ]
    for headers in through_a_proxy:
        answer = site.visitor().get(f"/healthz{query}", headers=headers, status=503)
        assert answer.json == {"status": "error", "store": "unreachable"}


def test_a_shallow_health_check_only_reads(make_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site("sqlite")

    def refuse(now: Any) -> None:
        raise StoreError("read-only")

    monkeypatch.setattr(site.factory.store, "try_write", refuse)
    assert site.visitor().get("/healthz?deep=0", status=200).json == {"status": "ok"}
    assert site.visitor().get("/healthz?deep=1", status=503).json["cause"] == "read-only"


def test_an_unknown_page_is_a_404_in_the_layout(site: Site) -> None:
    page = site.visitor().get("/nothing", status=404)
    assert page.html.h1.get_text() == "Sessions - Not found"
    assert len(page.html.nav.find_all("a")) == 3
    assert page.html.footer is None


def test_without_a_session_factory_the_pages_work(make_site: Any) -> None:
    site = make_site("development", {"sessionsite.session_factory": "", "session.secret": ""})
    visitor = site.visitor()
    for path in (*PAGES, *PAGES):
        page = visitor.get(path, status=200)
        assert history(page) == []
        assert "form" not in page.forms
        assert "Set-Cookie" not in page.headers
    visitor.get("/healthz", status=200)
    visitor.post("/forget", status=400)


def test_asvs_3_3_5_a_thousand_long_urls_stay_within_the_cookie(make_site: Any) -> None:
    site = make_site("development", {"pyramid.includes": ""})
    visitor: TestApp = site.visitor()
    for n in range(1000):
        query = f"{n}" + "x" * 2000
        page = visitor.get(f"/about?{query}", status=200)
        assert f">{site.url}/about?{query}</a>" in page.text
        (cookie,) = page.headers.getall("Set-Cookie")
        assert len(cookie.partition("=")[2].partition(";")[0]) <= 4064


@pytest.mark.parametrize("size", [3000, 60_000])
def test_a_url_too_long_to_keep_is_kept_without_its_query(make_site: Any, size: int) -> None:
    site = make_site("development")
    visitor = site.visitor()
    visitor.get("/")
    page = visitor.get("/about?" + "x" * size, status=200)
    assert history(page) == [f"{site.url}/about", f"{site.url}/"]


def test_the_session_panel_of_the_debugtoolbar_works(make_site: Any) -> None:
    visitor = make_site("development").visitor()
    page = visitor.get("/about")
    assert "pdtb" in page.text.lower() or "debugtoolbar" in page.text.lower()
    address = re.search(r'href="([^"]*/_debug_toolbar/\d+)"', page.text)
    assert address, page.text
    toolbar = visitor.get(address[1])
    panel = toolbar.html.find(id=re.compile("session", re.I))
    assert panel is not None
    assert "history" in toolbar.text
    assert "http://localhost/about" in toolbar.text


def test_about_says_what_the_store_promises(site: Site) -> None:
    text = site.visitor().get("/about").text
    assert re.search("What a page has shown you is [^.<]+. It is copied to [^.<]+.</dd>", text)
