"""What is logged, what the table holds and what is read of it gives no session away."""

import base64
import builtins
import hashlib
import json
import logging
import pickle
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from sessionsite.sessions.server.token_cookie import Credentials
from sessionsite.testing import session
from tests.harness.sites import Site, history
from tests.security.wsgi import send

LEAST = 8  # characters in a row that give a part of a secret away
on_servers = pytest.mark.parametrize(
    "shared_site", ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)], indirect=True
)


def walk(site: Site) -> Iterator[str]:
    """Do all that the site can; yields what no log may hold."""
    visitor = site.visitor()
    for path in ("/", "/about?a=1", "/contact", "/nothing", "/healthz"):
        page = visitor.get(path, status="*")
    page = visitor.get("/")
    ((name, value),) = visitor.cookies.items()
    token = page.forms[0]["csrf_token"].value
    yield from (value, token)
    visitor.post("/forget", {"csrf_token": "planted-token"}, status=400)
    send(site, HTTP_COOKIE=f"{name}=planted-{value}")
    send(site, HTTP_COOKIE=f"{name}={value[:-9]}AAAAAAAAA")
    other = site.visitor()
    other.get("/")
    send(site, HTTP_COOKIE=f"{name}={value}; {name}={other.cookies[name]}")
    with session(visitor) as data:
        data["a"] = 1
    page.forms[0].submit(status=303)
    send(site, HTTP_COOKIE=f"{name}={value}")
    assert len(history(visitor.get("/"))) == 1
    yield from (other.cookies[name], visitor.cookies[name], "planted-")


def test_cs_log_no_part_of_a_secret_is_logged_at_debug(
    site: Site, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = [*walk(site), site.app.registry.settings["session.secret"]]
    out = "".join(capfd.readouterr())
    text = caplog.text + out
    assert "ignored" in text
    for value in hidden:
        parts = {value[at : at + LEAST] for at in range(len(value) - LEAST + 1)}
        assert [part for part in parts if part in text] == []


@on_servers
def test_cs_log_the_beginning_and_the_end_are_logged_by_public_id(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor = site.visitor()
    page = visitor.get("/")
    with session(visitor) as data:
        name = data.id
        data.regenerate()
    visitor.get("/").forms[0].submit(status=303)
    assert page.status_int == 200
    for event in ("created", "new token", "ended"):
        assert caplog.text.count(f"Session {name}: {event}") == 1


def columns(site: Site) -> dict[str, Any]:
    with site.factory.store.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT * FROM sessions").mappings().one()
        return dict(row)


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return (value if isinstance(value, str) else json.dumps(value, default=str)).encode()


@on_servers
def test_cs_at_rest_no_column_of_the_table_opens_a_session(site: Site) -> None:
    victim = site.visitor()
    victim.get("/about?victim")
    with session(victim) as data:
        data.regenerate()  # fills the columns of the old token
    ((name, good),) = victim.cookies.items()
    row = columns(site)
    sign = site.factory.cookie._signer.dumps
    tried = 0
    for value in map(as_bytes, row.values()):
        forms = {
            value, hashlib.sha256(value).digest(), value.hex().encode(),
            base64.b64encode(value), base64.urlsafe_b64encode(value).rstrip(b"="),
        }  # fmt: skip
        cookies = {form.decode("latin-1") for form in forms}
        for form in forms:
            for token in (form, form[:32].ljust(32), form[-32:].rjust(32)):
                for id_ in (row["id"], "x"):
                    cookies.add(sign(Credentials(id_, token)).decode())
        for cookie in cookies:
            tried += 1
            _, _, text = send(site, path="/contact", HTTP_COOKIE=f"{name}={cookie}")
            assert "?victim" not in text
    assert tried > 100
    _, _, text = send(site, path="/contact", HTTP_COOKIE=f"{name}={good}")
    assert "?victim" in text


@pytest.fixture
def nothing_is_evaluated(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on whatever unpickles or evaluates fails; a walk before has loaded all modules."""
    list(walk(site))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("something was unpickled or evaluated")

    for name in ("loads", "load", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr("marshal.loads", refuse)
    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, refuse)


@pytest.mark.usefixtures("nothing_is_evaluated")
def test_pickle_a_whole_walk_unpickles_and_evaluates_nothing(site: Site) -> None:
    with pytest.raises(AssertionError, match="evaluated"):
        eval("1")
    assert len(list(walk(site))) == 5


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise AssertionError('a pickle was loaded')",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_one_from_a_client_is_nothing(site: Site, protocol: int) -> None:
    raw = pickle.dumps(Bomb(), protocol)
    name = "sessionsite" if site.name == "development" else "__Host-sessionsite"
    for value in (raw.decode("latin-1"), base64.urlsafe_b64encode(raw).decode().rstrip("=")):
        status, _, text = send(site, HTTP_COOKIE=f"{name}={value}")
        assert (status, text.count('<a href="http')) == (200, 1)
