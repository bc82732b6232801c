"""Views by themselves, and what they call."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyramid import testing
from pyramid.testing import DummyRequest
from shop import routes
from shop.devices import name_of
from shop.views import account

from sessionsite.sessions import AllSessions, MemoryStore
from sessionsite.testing import DummySession

Ask = Callable[..., Any]


@pytest.fixture
def ask(session_store: MemoryStore) -> Iterator[Ask]:
    """Make requests of user 1, each from a device of its own."""
    with testing.testConfig() as config:
        config.include(routes)

        def make(owner: str = "user:1", **form: str) -> Any:
            request = DummyRequest(
                post=form, session=DummySession(owner=owner, store=session_store)
            )
            request.session_store = AllSessions(session_store, request=request)
            return request

        yield make


def test_a_device_ends_another_of_its_user(ask: Ask) -> None:
    phone, home = ask(), ask()
    home.POST["id"] = phone.session.id
    assert account.end(home).location == "/devices"
    assert phone.session.again().new
    assert home.session.again().owner == "user:1"


def test_nobody_ends_another_users_device(ask: Ask) -> None:
    phone, stranger = ask(), ask("user:2")
    stranger.POST["id"] = phone.session.id
    account.end(stranger)
    assert phone.session.again().owner == "user:1"
    assert stranger.session.peek_flash() == []


def test_to_end_this_device_is_to_log_out(ask: Ask) -> None:
    home = ask()
    home.POST["id"] = home.session.id
    assert account.end(home).location == "/"
    assert home.session.again().owner is None


def test_log_out_everywhere_ends_all_of_a_user_alone(ask: Ask) -> None:
    phone, home, stranger = ask(), ask(), ask("user:2")
    account.end_everywhere(home)
    after = home.session.again()
    assert (after.owner, after.peek_flash()) == (None, ["You are logged out on all devices."])
    assert phone.session.again().new
    assert stranger.session.again().owner == "user:2"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/2010 Firefox/128.0", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 10; K) Chrome/126.0 Safari/537.36", "Chrome on Android"),
        ("curl/8", "A browser on some device"),
        (None, "A browser on some device"),
    ],
)
def test_a_device_has_a_name(agent: str | None, name: str) -> None:
    assert name_of(agent) == name


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/cart?a=1", "/cart?a=1"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/cart\n", "/"),
        ("", "/"),
    ],
)
def test_after_a_login_the_browser_stays_in_the_shop(asked: str, path: str) -> None:
    assert account._own_path(asked) == path
