"""Cases by the thousand on both .ini files: no input is an error, a leak, or markup.

The last test plants faults, one at a time, and has the fuzzer find them.

The suite runs the same cases each time, over 3,000; `make fuzz` runs over 100,000 new ones.
"""

import gc
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pyramid.request import Request

import sessionsite.cookies
import sessionsite.history
import sessionsite.sessions.cookie_header
import sessionsite.sessions.payload
import sessionsite.views
from sessionsite.request import FORM_BYTES, FORM_FIELDS, SiteRequest
from sessionsite.sessions.memory import MemoryStore
from sessionsite.sessions.signing import RotatingSigner
from tests.harness.sites import making_sites
from tests.security import fuzz
from tests.security.fuzz import MINE, NAME, OTHER, THEIRS, TOKEN, Target

pytestmark = pytest.mark.slow

Cases = dict[str, st.SearchStrategy[Any]]

# The profile `fuzz` has the number of its cases in tests/conftest.py.
CASES = (
    settings()
    if settings.get_current_profile_name() == "fuzz"
    else settings(max_examples=250, derandomize=True, database=None)
)


@contextmanager
def making_target(directory: Path, name: str, *, memory: bool) -> Iterator[Target]:
    quick = {"pyramid.reload_templates": "false"}
    if name == "development":
        quick["pyramid.includes"] = ""  # no toolbar: it has scripts
    with making_sites(directory, lambda _: f"sqlite:///{directory}/sessions.db") as make:
        site = make(name, quick)
        if memory:
            site.factory.store = MemoryStore()
        target = Target(site)
        if name == "development":
            target.secret = (directory / "development.secret").read_text().strip()
        yield target


@pytest.fixture(scope="module", params=["development", "production"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("fuzz")
    with making_target(directory, request.param, memory=request.param == "production") as target:
        yield target


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The site of production.ini on SQLite, and my row in it."""
    with making_target(tmp_path_factory.mktemp("rows"), "production", memory=False) as target:
        with target.store.engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT * FROM sessions WHERE payload LIKE '%mine%'")
            target.row = dict(found.mappings().one())
        yield target


def test_the_cookies_that_the_cases_use_are_good(target: Target) -> None:
    for value, marker in ((MINE, b"?mine"), (THEIRS, OTHER.encode())):
        target.reset()
        answer = target.send("GET", "/", HTTP_COOKIE=f"{NAME}={value}")
        assert marker in answer.body
        target.check(answer, theirs=value == THEIRS)
    target.reset()
    form = f"csrf_token={target.values[TOKEN]}".encode()
    assert target.send("POST", "/forget", form, HTTP_COOKIE=f"{NAME}={MINE}").status == 303


COOKIE_CASES: Cases = {"header": fuzz.COOKIES, "path": st.sampled_from(fuzz.PAGES)}


@CASES
@given(**COOKIE_CASES)
def test_fuzz_cookies(target: Target, header: str, path: str) -> None:
    target.reset()
    answer = target.send("GET", path, HTTP_COOKIE=header)
    assert answer.status == 200
    opened = target.opens(header)
    target.check(answer, opened == THEIRS)
    assert (b"?mine" in answer.body) == (opened == MINE)
    assert (OTHER.encode() in answer.body) == (opened == THEIRS)


FACTORY_CASES: Cases = {"header": fuzz.COOKIES}


@CASES
@given(**FACTORY_CASES)
def test_fuzz_factories(target: Target, header: str) -> None:
    """Cookies that no gate has cleaned."""
    target.reset()
    environ = {"HTTP_COOKIE": target.fill(header), "wsgi.url_scheme": target.site.scheme}
    request = Request.blank("/", environ)
    data = json.dumps(dict(target.site.factory(request)))
    opened = target.opens(header)
    assert ("?mine" in data) == (opened == MINE)
    assert (OTHER in data) == (opened == THEIRS)


URL_CASES: Cases = {
    "method": fuzz.METHODS,
    "path": fuzz.ANY_PATH,
    "query": fuzz.QUERIES,
    "host": fuzz.optional(fuzz.HOSTS) | st.just("localhost"),
    "cookie": st.sampled_from([None, f"{NAME}={MINE}"]),
}


@CASES
@given(**URL_CASES)
def test_fuzz_urls(
    target: Target, method: str, path: str, query: str, host: str | None, cookie: str | None
) -> None:
    target.reset()
    sent: dict[str, Any] = {"QUERY_STRING": query, "HTTP_HOST": host, "HTTP_COOKIE": cookie}
    answer = target.send(method, path, **sent)
    target.check(answer)
    if not (host and fuzz.SERVED.fullmatch(host)) and path != "/healthz":
        assert answer.status == 400
        assert not answer.values("Set-Cookie")
    if answer.values("Set-Cookie"):  # what was stored is shown
        value = re.split("[=;]", answer.values("Set-Cookie")[0], maxsplit=2)[1]
        sent["HTTP_COOKIE"] = f"{NAME}={value}"
    target.check(target.send("GET", "/", **(sent | {"QUERY_STRING": "", "HTTP_HOST": "localhost"})))


FORM_CASES: Cases = {
    "method": st.sampled_from(["POST", "POST", "POST", "PUT", "GET"]),
    "path": st.sampled_from(["/forget", "/forget", "/forget", *fuzz.PATHS]),
    "form": fuzz.FORMS | st.tuples(fuzz.BODIES, st.none()),
    "length": st.just("right") | fuzz.optional(fuzz.LENGTHS),
    "cookie": st.sampled_from([None, f"{NAME}={MINE}", f"{NAME}={MINE}"]),
    "terminated": st.booleans(),
}


@CASES
@given(**FORM_CASES)
def test_fuzz_forms(
    target: Target,
    method: str,
    path: str,
    form: tuple[str, str | None],
    length: str | None,
    cookie: str | None,
    terminated: bool,
) -> None:
    target.reset()
    body, content_type = form
    sent = target.fill(body).encode("latin-1")
    environ = {
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(sent)) if length == "right" else length,
        "HTTP_COOKIE": cookie,
        "wsgi.input_terminated": terminated or None,
    }
    answer = target.send(method, path, sent, **environ)
    target.check(answer)
    if answer.status == 303:  # the session has ended: the form was the site's own
        assert (method, path, cookie) == ("POST", "/forget", f"{NAME}={MINE}")
        assert f"csrf_token={target.values[TOKEN]}" in sent.decode("latin-1")
        assert len(sent) <= FORM_BYTES
        assert sent.count(b"&") < FORM_FIELDS
        assert (content_type or "application/x-www").lower().startswith("application/x-www")


HEADER_CASES: Cases = {
    "method": st.sampled_from(["GET"] * 4 + ["POST"] * 3 + ["HEAD"]),
    "path": st.sampled_from([*fuzz.PAGES * 2, *["/forget"] * 5, *fuzz.PATHS]),
    "headers": fuzz.REQUEST_HEADERS,
    "token": st.booleans(),
}


@CASES
@given(**HEADER_CASES)
def test_fuzz_request_headers(
    target: Target, method: str, path: str, headers: dict[str, str], token: bool
) -> None:
    target.reset()
    body = f"csrf_token={target.values[TOKEN]}".encode() if token and method == "POST" else b""
    answer = target.send(method, path, body, HTTP_COOKIE=f"{NAME}={MINE}", **headers)
    target.check(answer)
    if answer.status == 303:
        assert body or TOKEN in headers["HTTP_X_CSRF_TOKEN"]


class AsItIs:
    """A serializer that leaves bytes as they are."""

    def dumps(self, appstruct: bytes) -> bytes:
        return appstruct

    def loads(self, bstruct: bytes) -> bytes:
        return bstruct


def visit_and_forget(target: Target, cookie: str, token: object) -> None:
    target.check(target.send("GET", "/", HTTP_COOKIE=cookie))
    text = token if isinstance(token, str) else "\u20ac"
    form = b"csrf_token=" + quote(text, errors="surrogatepass").encode()
    target.check(target.send("POST", "/forget", form, HTTP_COOKIE=cookie))


PAYLOAD_CASES: Cases = {
    "data": fuzz.DATA,
    "text": fuzz.PAYLOADS,
    "as_data": st.sampled_from([True, True, False]),
    "times": fuzz.TIMES,
}


@CASES
@given(**PAYLOAD_CASES)
def test_fuzz_stored_payloads(
    target: Target, data: dict[str, Any], text: str, as_data: bool, times: str
) -> None:
    """Edited by hand in the store, or signed with the real secret."""
    target.reset()
    payload = json.dumps(data) if as_data else text
    cookie = f"{NAME}={MINE}"
    if target.store is None:
        now = times.replace("now", str(int(time.time())))
        signer = RotatingSigner([target.secret], "sessionsite.cookie.", AsItIs())
        signed = signer.dumps(f"[{now},{now},{payload}]".encode("utf-8", "surrogatepass"))
        assume(len(signed) < 4000)  # no browser holds more
        cookie = f"{NAME}={signed.decode()}"
    else:
        *_, mine = target.records.values()
        target.store._records[mine.id] = replace(mine, payload=payload)
    visit_and_forget(target, cookie, data.get("_csrft_"))


@CASES
@given(st.dictionaries(st.sampled_from(fuzz.COLUMNS), fuzz.CELLS, min_size=1, max_size=3))
def test_fuzz_rows(rows: Target, changes: dict[str, Any]) -> None:
    """SQLite takes a value of any type in any column."""
    row = rows.row | changes
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    with rows.store.engine.connect() as connection:  # in AUTOCOMMIT mode
        connection.exec_driver_sql("DELETE FROM sessions")
        connection.exec_driver_sql(
            f"INSERT OR IGNORE INTO sessions ({names}) VALUES ({places})", row
        )
    visit_and_forget(rows, f"{NAME}={MINE}", rows.values[TOKEN])


Plant = Callable[[pytest.MonkeyPatch], None]


def strip_as_python_does(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.sessions.cookie_header, "_SPACE", None)


def let_every_cookie_in(planted: pytest.MonkeyPatch) -> None:
    strip_as_python_does(planted)
    planted.setattr(sessionsite.cookies, "readable_cookies", lambda header: header)


def read_forms_as_webob_does(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(SiteRequest, "POST", Request.POST)


def escape_no_message(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.views, "_shown", Markup)


def leave_controls_in_messages(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sessionsite.views, "_shown", str)


def escape_no_visit(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(
        "sessionsite.request.stored_history",
        lambda session: [Markup(url) for url in sessionsite.history.stored_history(session)],
    )


def fail_at_bytes_above_ascii(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(
        SiteRequest, "may_be_visit", property(lambda self: self.user_agent.encode("ascii") is None)
    )


def take_any_payload(planted: pytest.MonkeyPatch) -> None:
    checked = sessionsite.sessions.payload.loads
    for name, module in list(sys.modules.items()):
        if name.startswith("sessionsite.") and getattr(module, "loads", None) is checked:
            planted.setattr(module, "loads", json.loads)


FAULTS: list[tuple[Plant, Any, dict[str, Any]]] = [
    (strip_as_python_does, test_fuzz_factories, FACTORY_CASES),
    (let_every_cookie_in, test_fuzz_cookies, COOKIE_CASES),
    (read_forms_as_webob_does, test_fuzz_forms, FORM_CASES),
    (escape_no_message, test_fuzz_stored_payloads, PAYLOAD_CASES),
    (leave_controls_in_messages, test_fuzz_stored_payloads, PAYLOAD_CASES),
    (escape_no_visit, test_fuzz_stored_payloads, PAYLOAD_CASES),
    (fail_at_bytes_above_ascii, test_fuzz_request_headers, HEADER_CASES),
    (take_any_payload, test_fuzz_stored_payloads, PAYLOAD_CASES),
]


# WebOb's own reading of a form leaves its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("plant", "test", "cases"), FAULTS, ids=[plant.__name__ for plant, *_ in FAULTS]
)
def test_a_planted_fault_is_found(
    target: Target, monkeypatch: pytest.MonkeyPatch, plant: Plant, test: Any, cases: dict[str, Any]
) -> None:
    first = settings(
        max_examples=1000, derandomize=True, database=None, phases=[Phase.generate],
        report_multiple_bugs=False,
    )  # fmt: skip
    plant(monkeypatch)
    # Any exception will do: a test of the fuzzer fails by an assertion or by the fault itself.
    with pytest.raises(Exception):  # noqa: B017, PT011
        first(given(**cases)(test.hypothesis.inner_test))(target=target)
    gc.collect()
