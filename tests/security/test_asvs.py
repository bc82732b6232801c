"""ASVS 5.0, chapters 7 and 3.3, over the whole site; each test bears the id of what it checks."""

import base64
import random
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionsite.sessions import all_sessions
from sessionsite.sessions.data import new_id
from sessionsite.sessions.server.token_cookie import new_token
from sessionsite.sessions.settings import ServerSettings
from sessionsite.testing import session
from tests import ROOT
from tests.harness.sites import Site, history
from tests.harness.visitor import Clock
from tests.security.wsgi import send

PAGES = ("/", "/about", "/contact")
IDLE, LIFETIME = 1200, 43200
stored = pytest.mark.parametrize("shared_site", ["sqlite"], indirect=True)
on_servers = pytest.mark.parametrize(
    "shared_site", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)], indirect=True
)


@pytest.fixture
def clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the site's session factory."""
    clock = Clock(datetime.now(UTC).replace(microsecond=0))
    monkeypatch.setattr(site.factory, "now", clock)
    return clock


def pair(visitor: Any) -> str:
    """The visitor's cookie, as a request sends it."""
    ((name, value),) = visitor.cookies.items()
    return f"{name}={value}"


def opens(site: Site, cookie: str, mark: str = "?victim") -> bool:
    """Whether a request with this Cookie header is shown the victim's visit."""
    status, _, text = send(site, path="/contact", HTTP_COOKIE=cookie)
    assert status == 200
    return mark in text


def test_asvs_7_1_1_the_lifetimes_of_the_documents_are_those_of_production() -> None:
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert "**Idle 20 minutes, absolute 12 hours** (ASVS 7.1.1)" in text
    ini = (ROOT / "production.ini").read_text("utf-8")
    fields = ServerSettings.__dataclass_fields__
    for name, seconds in (("timeout", IDLE), ("lifetime", LIFETIME)):
        assert fields[name].default == seconds
        assert f"session.{name} = {seconds}\n" in ini


def test_asvs_7_1_2_one_visitor_may_have_many_sessions_at_once(site: Site) -> None:
    assert "**How many sessions at once** (ASVS 7.1.2)" in (
        ROOT / "docs/configuration.md"
    ).read_text("utf-8")
    browsers = [site.visitor() for _ in range(30)]
    for visitor in browsers:
        visitor.get("/about")
    assert [len(history(visitor.get("/"))) for visitor in browsers] == [2] * 30


def test_asvs_7_2_1_a_cookie_that_is_changed_anywhere_opens_nothing(site: Site) -> None:
    victim = site.visitor()
    victim.get("/about?victim")
    name, _, value = pair(victim).partition("=")
    assert opens(site, f"{name}={value}")
    for place in range(0, len(value), 5):
        other = "A" if value[place] != "A" else "B"
        assert not opens(site, f"{name}={value[:place]}{other}{value[place + 1 :]}")


@pytest.mark.slow
@pytest.mark.parametrize("new", [new_id, new_token])
def test_asvs_7_2_2_no_two_of_a_million_are_equal(new: Any) -> None:
    assert len({new() for _ in range(1_000_000)}) == 1_000_000


@pytest.mark.parametrize(("new", "size"), [(new_id, 16), (new_token, 32)])
def test_asvs_7_2_3_they_are_random_bytes_of_the_operating_system(
    new: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return b"\xa5" * size

    state = random.getstate()
    monkeypatch.setattr("random._urandom", urandom)  # what `secrets` asks
    value = new()
    raw = value if isinstance(value, bytes) else base64.urlsafe_b64decode(value + "==")
    assert (asked, raw) == ([size], b"\xa5" * size)
    assert random.getstate() == state


@on_servers
def test_asvs_7_2_4_a_new_token_kills_the_old_one_at_once(site: Site) -> None:
    victim = site.visitor()
    victim.get("/about?victim")
    old = pair(victim)
    with session(victim) as data:
        data.regenerate()
    assert pair(victim) != old
    assert not opens(site, old)
    assert opens(site, pair(victim))


def test_asvs_7_3_1_an_idle_session_ends_after_20_minutes(site: Site, clock: Clock) -> None:
    visitor = site.visitor()
    visitor.get("/about")
    clock.move(IDLE - 1)
    assert len(history(visitor.get("/"))) == 2
    clock.move(IDLE + 1)
    assert len(history(visitor.get("/"))) == 1


@on_servers
def test_asvs_7_3_2_a_busy_session_ends_after_12_hours(site: Site, clock: Clock) -> None:
    visitor = site.visitor()
    visitor.get("/about")
    for _ in range(LIFETIME // 1000):
        clock.move(1000)
        visitor.get("/about")
    clock.move(LIFETIME % 1000 - 1)
    assert len(history(visitor.get("/"))) == 20
    clock.move(1)
    assert len(history(visitor.get("/"))) == 1


@on_servers
def test_asvs_7_4_1_the_old_cookie_and_the_old_form_open_nothing(site: Site) -> None:
    visitor = site.visitor()
    page = visitor.get("/about?victim")
    old = pair(visitor)
    page.forms[0].submit(status=303)
    assert pair(visitor) != old
    assert not opens(site, old)
    # the back button shows the old page, whose form is that of a session that has ended
    page.forms[0].submit(status=400)
    assert "?victim" not in visitor.get("/").text


def test_asvs_7_4_1_it_ends_in_every_process(make_site: Any) -> None:
    one, other = make_site("sqlite"), make_site("sqlite")
    visitor = one.visitor()
    page = visitor.get("/about?victim")
    old = pair(visitor)
    assert opens(other, old)
    page.forms[0].submit(status=303)
    assert not opens(other, old)


def browsers(site: Site, owner: str, count: int) -> list[Any]:
    """Visitors who have logged in, each with a visit of its own."""
    visitors = [site.visitor() for _ in range(count)]
    for visitor in visitors:
        visitor.get("/about?victim")
        with session(visitor) as data:
            data.owner = owner
            data.regenerate()
    return visitors


def open_ones(site: Site, visitors: list[Any]) -> list[bool]:
    return [opens(site, pair(visitor)) for visitor in visitors]


def name_of(visitor: Any) -> str:
    with session(visitor) as data:
        name: str = data.id
    return name


@on_servers
def test_asvs_7_4_2_all_sessions_of_an_account_end_with_it(site: Site) -> None:
    ann, bob = browsers(site, "user:ann", 2), browsers(site, "user:bob", 1)
    store = all_sessions(site.app.registry)
    assert store is not None
    assert open_ones(site, ann + bob) == [True] * 3
    assert store.end_owner("user:ann") == 2
    assert open_ones(site, ann + bob) == [False, False, True]


@on_servers
def test_asvs_7_4_3_the_other_sessions_end_after_a_new_password(site: Site) -> None:
    ann = browsers(site, "user:ann", 3)
    store = all_sessions(site.app.registry)
    assert store is not None
    assert store.end_owner("user:ann", except_id=name_of(ann[1])) == 2
    assert open_ones(site, ann) == [False, True, False]


@on_servers
def test_asvs_7_5_2_a_user_sees_and_ends_the_users_own_sessions(site: Site) -> None:
    ann, bob = browsers(site, "user:ann", 2), browsers(site, "user:bob", 1)
    store = all_sessions(site.app.registry)
    assert store is not None
    seen = {each.id for each in store.sessions_of("user:ann")}
    assert seen == {name_of(visitor) for visitor in ann}
    assert store.end(name_of(ann[0])) is True
    assert open_ones(site, ann + bob) == [False, True, True]


@stored
def test_asvs_7_4_5_an_operator_ends_those_of_one_user_by_the_documented_sql(site: Site) -> None:
    ann, bob = browsers(site, "user:42", 2), browsers(site, "user:bob", 1)
    text = (
        (ROOT / "docs/security.md").read_text("utf-8").partition("### Sessions of one account")[2]
    )
    (statement,) = re.findall(r"(?s)```sql\n(.*?);\n```", text.partition("\n### ")[0])
    with site.factory.store.engine.connect() as connection:
        connection.exec_driver_sql(statement)
    assert open_ones(site, ann + bob) == [False, False, True]


@stored
def test_asvs_7_4_5_an_operator_ends_one_session_or_all(site: Site) -> None:
    ann, bob = site.visitor(), site.visitor()
    for visitor in (ann, bob):
        visitor.get("/about?victim")
    with session(ann) as data:
        name = data.id
    with site.factory.store.engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM sessions WHERE id = ?", (name,))
    assert (opens(site, pair(ann)), opens(site, pair(bob))) == (False, True)
    site.forget_all_visitors()
    assert not opens(site, pair(bob))


@pytest.mark.parametrize("path", PAGES)
def test_asvs_7_4_4_each_page_has_one_visible_control(site: Site, path: str) -> None:
    visitor = site.visitor()
    for _ in range(2):
        (form,) = visitor.get(path).html.find_all("form")
        assert (form["method"], form["action"]) == ("post", "/forget")
        assert [button.get_text() for button in form.find_all("button")] == ["Forget me"]
        assert form.find_parent("details") is None
        assert not any(tag.has_attr("hidden") for tag in (form, *form.parents))


def cookies_of(site: Site) -> list[str]:
    """Every Set-Cookie of a walk: of a new session, of one that ends, of two planted cookies."""
    visitor, other = site.visitor(), site.visitor()
    answers = [visitor.get("/"), other.get("/"), visitor.get("/about")]
    answers.append(visitor.get("/contact").forms[0].submit())
    both = f"{pair(visitor)}; {pair(other)}"
    answers.append(site.visitor().get("/", headers={"Cookie": both}))
    return [header for answer in answers for header in answer.headers.getall("Set-Cookie")]


def attributes(header: str) -> set[str]:
    return {attribute.lower() for attribute in header.split("; ")[1:]}


@stored
def test_asvs_3_3_1_every_cookie_of_production_is_secure(site: Site) -> None:
    headers = cookies_of(site)
    assert len(headers) > 3
    assert all("secure" in attributes(header) for header in headers)


@stored
def test_asvs_3_3_3_the_prefix_is_that_of_one_host(site: Site) -> None:
    for header in cookies_of(site):
        assert header.startswith("__Host-sessionsite=")
        assert "path=/" in attributes(header)
        assert not any(attribute.startswith("domain") for attribute in attributes(header))


@stored
@pytest.mark.parametrize("name", ["sessionsite", "__Secure-sessionsite", "__host-sessionsite"])
def test_asvs_3_3_3_no_other_name_opens_a_session(site: Site, name: str) -> None:
    victim = site.visitor()
    victim.get("/about?victim")
    value = pair(victim).partition("=")[2]
    assert opens(site, f"__Host-sessionsite={value}")
    assert not opens(site, f"{name}={value}")


def test_asvs_3_3_2_same_site_is_set_on_every_cookie(site: Site) -> None:
    assert all("samesite=lax" in attributes(header) for header in cookies_of(site))


def test_asvs_3_3_4_every_cookie_is_hidden_from_scripts(site: Site) -> None:
    assert all("httponly" in attributes(header) for header in cookies_of(site))


@on_servers
def test_asvs_3_3_4_the_token_is_in_no_page_and_no_other_header(site: Site) -> None:
    visitor = site.visitor()
    answers = [visitor.get("/")]
    value = pair(visitor).partition("=")[2]
    token = base64.urlsafe_b64decode(value + "==")[64:96]  # behind the signature
    answers += [visitor.get(path) for path in PAGES]
    encoded = {
        value, token.hex(), base64.b64encode(token).decode().rstrip("="),
        base64.urlsafe_b64encode(token).decode().rstrip("="),
    }  # fmt: skip
    for answer in answers:
        headers = [f"{k}: {v}" for k, v in answer.headers.items() if k != "Set-Cookie"]
        text = "\n".join([answer.text, *headers])
        assert not [part for part in encoded if part in text]


def test_asvs_3_3_5_name_and_value_fit_whatever_is_in_the_session(site: Site) -> None:
    visitor = site.visitor()
    for number in range(30):
        visitor.get(f"/about?{number}" + "x" * 1900)
        assert len(pair(visitor)) <= 4096
    size = len(pair(visitor))
    if site.name == "development":
        with pytest.raises(ValueError, match="large"), session(visitor) as data:
            data["a"] = "x" * 5000
    else:
        with session(visitor) as data:
            data["a"] = "x" * 5000
        assert len(pair(visitor)) == size
    assert history(visitor.get("/"))


def test_n_no_address_takes_a_post_without_a_token(site: Site) -> None:
    visitor = site.visitor()
    visitor.get("/about?victim")
    views = [
        view["introspectable"] for view in site.app.registry.introspector.get_category("views")
    ]
    routes = {view["route_name"] for view in views if "POST" in (view["request_methods"] or ())}
    assert routes - {r for r in routes if re.match("debugtoolbar", r)} == {"forget"}
    for path in (*PAGES, "/forget", "/healthz", "/favicon.ico"):
        assert visitor.post(path, {"a": "1"}, status="4*").status_int in (400, 404)
    assert "?victim" in visitor.get("/").text
