"""The site on every session factory: ours, and other packages' as they are released.

One suite of what a visitor sees, bound to each factory by .ini lines alone.
"""

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pyramid.interfaces import ISessionFactory
from pyramid.paster import get_app
from webtest import TestApp, TestResponse

from tests import ROOT
from tests.harness import Missing
from tests.harness.skipping import required

SITE = ROOT / "sessionsite"
PAGES = {"/": "Sessions - Home", "/about": "Sessions - About", "/contact": "Sessions - Contact"}
# In hex, and 32 bytes long: pyramid_nacl_session takes no other.
SECRET = "5e55104a7e57f00dbeadfacade1ca7ed0123456789abcdeffedcba9876543210"

# What development.ini says of sessions; and a toolbar, which is not in these tests' extra.
REPLACED = r"(?m)^(pyramid\.includes|sessionsite\.session_factory|session\.\S+) *=.*\n"
BY_NAME = "sessionsite.session_factory = {}.session_factory_from_settings\n"
BY_INCLUDES = "pyramid.includes = {}\n"
_ignore = pytest.mark.filterwarnings
MARKS = {
    # It imports this class, used or not; Pyramid 2 deprecates it.
    "pyramid_nacl_session": [
        _ignore("ignore:PickleSerializer. pyramid.session.PickleSerializer is:DeprecationWarning")
    ],
    # It calls what redis-py 8 deprecates.
    "pyramid_session_redis": [
        _ignore("ignore:Call to deprecated setex:DeprecationWarning"),
        pytest.mark.servers,
    ],
}
THEIRS = [
    pytest.param(
        (name, way),
        id=f"{name}{'-by-includes' if way == BY_INCLUDES else ''}",
        marks=MARKS.get(name, []),
    )
    for name in ("pyramid_beaker", *MARKS)
    for way in (BY_NAME, BY_INCLUDES)
]
OURS = [
    *(pytest.param((name, BY_NAME), id=name) for name in ("cookie", "sqlite")),
    pytest.param(("postgresql", BY_NAME), id="postgresql", marks=pytest.mark.servers),
]
# The site may import none of these, nor anything inside them.
FACTORY_MODULES = {
    "beaker",
    "nacl",
    "pyramid.session",
    "pyramid_beaker",
    "pyramid_nacl_session",
    "pyramid_session_redis",
    "redis",
    "sessionsite.sessions.cookie",
    "sessionsite.sessions.server",
    "sessionsite.sessions.session",
    "sessionsite.sessions.sql",
}


@dataclass(frozen=True)
class Choice:
    """The .ini lines that choose a session factory, and how many sessions its store has."""

    lines: str
    count: Callable[[], int] | None = None  # None where the cookie is the store

    def stored(self) -> int:
        return self.count() if self.count else 0


def _rows(url: str) -> int:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return int(connection.scalar(sa.text("SELECT count(*) FROM sessions")) or 0)
    finally:
        engine.dispose()


def _redis_keys(url: str) -> int:
    from redis import Redis  # only there where pyramid_session_redis is

    with closing(Redis.from_url(url)) as client:
        return int(client.dbsize())


def _require(package: str) -> None:
    """Skip the test if `package` is not installed; in CI, fail."""
    with required():
        if importlib.util.find_spec(package) is None:
            raise Missing(package, 'pip install -e ".[factories]"')


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("factories")


@pytest.fixture(scope="module", params=[*OURS, *THEIRS])
def choice(request: pytest.FixtureRequest, directory: Path) -> Choice:
    name, way = request.param
    if name.startswith("pyramid_"):
        _require(name)
    match name:
        case "cookie":
            lines = f"session.secret = {SECRET}"
            return Choice(way.format("sessionsite.sessions.cookie") + lines)
        case "sqlite" | "postgresql":
            url = f"sqlite:///{directory}/sessions.db"
            if name == "postgresql":
                url = request.getfixturevalue("postgres").create_database("factories")
            lines = f"session.secret = {SECRET}\nsession.sql.create_table = true\n"
            lines += "session.prune_interval = none\n"  # no thread that outlives the test
            lines += f"session.sqlalchemy.url = {url.replace('%', '%%')}"
            return Choice(way.format("sessionsite.sessions.server") + lines, lambda: _rows(url))
        case "pyramid_session_redis":
            url = request.getfixturevalue("redis").url
            lines = f"redis.sessions.secret = {SECRET}\nredis.sessions.redis_url = {url}"
            return Choice(way.format(name) + lines, lambda: _redis_keys(url))
        case "pyramid_nacl_session":
            # Its default is pickle, which Pyramid advises against.
            lines = f"session.secret = {SECRET}\nsession.serializer = json"
            return Choice(way.format(name) + lines)
        case "pyramid_beaker":
            lines = f"session.secret = {SECRET}\nsession.type = file\nsession.data_dir = %(here)s/b"
            stored = directory / "b" / "container_file"
            return Choice(way.format(name) + lines, lambda: len([*stored.rglob("*.cache")]))
    raise AssertionError(name)


def load(lines: str, directory: Path) -> Any:
    """The app of development.ini, its lines on sessions replaced by `lines`."""
    text = re.sub(REPLACED, "", (ROOT / "development.ini").read_text("utf-8"))
    ini = directory / "site.ini"
    ini.write_text(text.replace("[app:main]\n", f"[app:main]\n{lines}\n"), "utf-8")
    return get_app(str(ini), "main")


@pytest.fixture(scope="module")
def app(choice: Choice, directory: Path) -> Iterator[Any]:
    """One for all tests of a choice: each has visitors of its own."""
    app = load(choice.lines, directory)
    yield app
    store = getattr(app.registry.queryUtility(ISessionFactory), "store", None)
    if store is not None:
        store.engine.dispose()


@pytest.fixture
def visitor(app: Any) -> TestApp:
    return TestApp(app)


def history(page: TestResponse) -> list[str]:
    assert page.html.footer.h2.string == "History"
    links = page.html.footer.find_all("a")
    assert all(link["href"] == link.string for link in links)
    return [link["href"] for link in links]


@pytest.mark.parametrize(("path", "title"), PAGES.items())
def test_a_page_is_served(visitor: TestApp, path: str, title: str) -> None:
    page = visitor.get(path, status=200)
    assert page.html.title.string == page.html.h1.string == title
    assert history(page) == [f"http://localhost{path}"]


def test_the_history_is_newest_first_with_the_current_visit(visitor: TestApp) -> None:
    for path in ("/", "/about?a=1&b=%C3%A9", "/contact", "/contact"):
        page = visitor.get(path)
    about, contact = "http://localhost/about?a=1&b=%C3%A9", "http://localhost/contact"
    assert history(page) == [contact, contact, about, "http://localhost/"]


def test_a_history_of_long_urls_stays_within_what_the_factory_holds(visitor: TestApp) -> None:
    urls = [f"http://localhost/?{'x' * 300}{number}" for number in range(40)]
    for url in urls:
        page = visitor.get(url, status=200)
    kept = history(page)
    assert 5 < len(kept) < 20  # 20 of these would overflow a cookie
    assert kept == urls[::-1][: len(kept)]


def test_another_visitor_has_another_history(app: Any, visitor: TestApp) -> None:
    other = TestApp(app)
    visitor.get("/about")
    other.get("/contact")
    assert history(visitor.get("/")) == ["http://localhost/", "http://localhost/about"]
    assert history(other.get("/")) == ["http://localhost/", "http://localhost/contact"]


def test_forget_ends_the_session(visitor: TestApp) -> None:
    visitor.get("/about")
    answer = visitor.get("/contact").form.submit(status=303)
    assert answer.location == "http://localhost/"
    page = answer.follow(status=200)
    assert page.html.select_one(".message")
    assert history(page) == ["http://localhost/"]
    page = visitor.get("/about")
    assert not page.html.select_one(".message")
    assert history(page) == ["http://localhost/about", "http://localhost/"]


def test_a_cookie_from_before_forget_does_not_lead_to_the_session_after_it(
    app: Any, visitor: TestApp
) -> None:
    page = visitor.get("/about")
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    page.form.submit(status=303)
    visitor.get("/contact")
    # ISession does not say whether earlier data survives.
    old = TestApp(app).get("/", headers={"Cookie": cookies}, status=200)
    assert not old.html.select_one(".message")
    assert history(old)[0] == "http://localhost/"
    assert "http://localhost/contact" not in history(old)
    after = visitor.get("/")
    assert history(after) == ["http://localhost/", "http://localhost/contact"]


@pytest.mark.parametrize("form", [{}, {"csrf_token": "wrong"}], ids=["missing", "wrong"])
def test_forget_without_its_token_changes_nothing(
    app: Any, choice: Choice, visitor: TestApp, form: dict[str, str]
) -> None:
    visitor.get("/about")
    stored = choice.stored()
    visitor.post("/forget", form, status=400)
    assert history(visitor.get("/")) == ["http://localhost/", "http://localhost/about"]
    stranger = TestApp(app).post("/forget", form, status=400)
    assert "Set-Cookie" not in stranger.headers
    assert choice.stored() == stored


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/missing", {}, 404),
        ("GET", "/healthz", {}, 200),
        ("GET", "/static/site.css", {}, 200),
        ("HEAD", "/", {}, 200),
        ("GET", "/", {"Sec-Purpose": "prefetch"}, 200),
        ("GET", "/", {"Sec-Purpose": "prefetch;prerender"}, 200),
    ],
    ids=["missing-page", "healthz", "static", "head", "prefetch", "prerender"],
)
def test_what_is_no_visit_is_not_recorded(
    choice: Choice, visitor: TestApp, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    before = choice.stored()
    answer = visitor.request(path, method=method, headers=headers, status=status)
    assert "Set-Cookie" not in answer.headers
    assert choice.stored() == before
    visitor.get("/about")
    assert choice.stored() == before + (choice.count is not None)  # it does count them
    answer = visitor.request(path, method=method, headers=headers, status=status)
    if path not in PAGES:  # else it may push the expiry of the session
        assert "Set-Cookie" not in answer.headers
    assert history(visitor.get("/contact"))[1:] == ["http://localhost/about"]


def test_no_cache_keeps_a_page(visitor: TestApp) -> None:
    for path in [*PAGES, *PAGES]:  # a new session sends a cookie, an old one may not
        headers = visitor.get(path).headers
        assert headers.getall("Vary") == ["Cookie"]
        assert headers.getall("Cache-Control") == ["private, no-store"]


def test_without_a_factory_the_pages_have_no_history_and_no_cookie(tmp_path: Path) -> None:
    visitor = TestApp(load("", tmp_path))
    for path, title in PAGES.items():
        page = visitor.get(path, status=200)
        assert page.html.title.string == page.html.h1.string == title
        assert history(page) == []
        assert not page.forms
        assert "Set-Cookie" not in page.headers


def test_without_a_factory_forget_is_refused(tmp_path: Path) -> None:
    TestApp(load("", tmp_path)).post("/forget", status=400)


def test_the_site_imports_nothing_of_any_factory() -> None:
    files = [path for path in SITE.glob("*.py") if path.name != "cli.py"]  # which tends our table
    assert SITE / "views.py" in files
    assert [
        (path.name, module)
        for path in files
        for module in _imports(path)
        if any(f"{module}.".startswith(f"{factory}.") for factory in FACTORY_MODULES)
    ] == []


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(filter(None, ["sessionsite" if node.level else "", node.module]))
            yield from (f"{package}.{alias.name}" for alias in node.names)
